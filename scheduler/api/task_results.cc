// TaskService, the reading half: results, exports and explanations out of the record log.
#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"
#include "scheduler/api/convert.h"
#include "scheduler/api/names.h"
#include "scheduler/api/project_progress.h"
#include "scheduler/api/task_service.h"
#include "scheduler/quality/answer.h"

namespace fairlead::api {
namespace {

constexpr size_t kPage = 256;
constexpr size_t kChunkBytes = 64 << 10;

// A cursor is the log position of the last result seen.
absl::StatusOr<int64_t> ParseCursor(const std::string& cursor, int64_t log_end) {
  if (cursor.empty()) return -1;
  int64_t position = 0;
  if (!absl::SimpleAtoi(cursor, &position) || position < 0) {
    return FieldError("cursor", "must be one from an earlier response");
  }
  if (position >= log_end) {
    return Error(absl::StatusCode::kOutOfRange, "CURSOR_EXPIRED",
                 "the cursor is of another log: start again without one");
  }
  return position;
}

std::string Line(const v1::Label& label, v1::ExportLabelsRequest::Format format) {
  const std::string answer = quality::AnswerKey(label.answer());
  if (format == v1::ExportLabelsRequest::TSV) {
    return absl::StrCat(label.external_id(), "\t", label.task(), "\t", answer, "\t",
                        label.confidence(), "\t", label.answers(), "\n");
  }
  nlohmann::json line = {{"external_id", label.external_id()},
                         {"task", label.task()},
                         {"answer", answer},
                         {"confidence", label.confidence()},
                         {"answers", label.answers()},
                         {"aggregation", label.aggregation()}};
  // Texts of contractors may be any bytes: what is no UTF-8 is replaced, not refused.
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string Describe(const store::v1::Event& event) {
  const std::string when = absl::FormatTime(
      "%Y-%m-%dT%H:%M:%E3SZ", absl::FromUnixMillis(event.time_ms()), absl::UTCTimeZone());
  switch (event.body_case()) {
    case store::v1::Event::kAnnotated:
      return absl::StrCat(when, " answered by ", event.annotated().contractor(),
                          event.annotated().late() ? " (late)" : "");
    case store::v1::Event::kErased:
      return absl::StrCat(when, " answer of ", event.erased().contractor(), " deleted");
    case store::v1::Event::kGoldRetracted:
      return absl::StrCat(when, " gold retracted: ", event.gold_retracted().retracted());
    case store::v1::Event::kCompleted:
      return absl::StrCat(when, " completed with confidence ", event.completed().confidence(),
                          " from ", event.completed().answers(), " answers",
                          event.completed().used_prelabel() ? " and the model" : "");
    case store::v1::Event::kEnded:
      return absl::StrCat(when, " ended ", v1::Task::State_Name(event.ended().state()), ": ",
                          event.ended().reason());
    case store::v1::Event::kWantChanged:
      return absl::StrCat(when, " now ", event.want(), " answers wanted");
    case store::v1::Event::kPrelabelled:
      return absl::StrCat(when, " prelabelled by ", event.prelabelled().model_version(),
                          " with confidence ", event.prelabelled().confidence());
    case store::v1::Event::kReplayed:
      return absl::StrCat(when, " replayed from the dead letters");
    case store::v1::Event::kOrphaned:
      if (event.orphaned().surplus()) {
        return absl::StrCat(when, " finished by ", event.orphaned().contractor(),
                            " after the end: paid, not used");
      }
      return absl::StrCat(when, " lost lease of ", event.orphaned().contractor(),
                          ": kept for pay review");
    case store::v1::Event::kReported:
      return absl::StrCat(when, " reported by ", event.reported().contractor(), ": ",
                          event.reported().reason());
    case store::v1::Event::kPlacement:
      return absl::StrCat(when, " offer to ", event.placement().contractor(), " lapsed");
    case store::v1::Event::kDecision:
      return absl::StrCat(when, " offered to ", event.decision().contractor(), " (assignment ",
                          event.decision().assignment(), ")");
    default:
      return absl::StrCat(when, " event ", static_cast<int>(event.body_case()));
  }
}

// Other people appear to clients and operators by id; names never stand in a decision.
v1::Decision Public(v1::Decision decision, const std::string& project) {
  decision.set_name(AssignmentNameOf(project, decision.task(), decision.assignment()));
  decision.set_task(TaskNameOf(project, decision.task()));
  return decision;
}

}  // namespace

absl::Status TaskServiceImpl::Stream(const Principal& principal,
                                     const v1::StreamResultsRequest& request,
                                     grpc::ServerContext& context,
                                     grpc::ServerWriter<v1::StreamResultsResponse>& writer) {
  ASSIGN_OR_RETURN(ProjectName name, ParseProject("project", request.project()));
  RETURN_IF_ERROR(CheckTenant(principal, name.tenant));
  RETURN_IF_ERROR(parts_.registry->Project(name.key()).status());
  ASSIGN_OR_RETURN(int64_t cursor, ParseCursor(request.cursor(), parts_.index->LogEnd()));
  while (!context.IsCancelled()) {
    ASSIGN_OR_RETURN(auto ends, parts_.index->Ends(name.key(), cursor, kPage));
    for (const auto& [position, event] : ends) {
      cursor = position;
      ASSIGN_OR_RETURN(store::v1::TaskRecord task, parts_.index->Submission(event.key()));
      if (task.has_gold() && !request.include_gold()) continue;
      v1::StreamResultsResponse response;
      response.set_task(TaskNameOf(name.key(), event.key()));
      response.set_state(event.has_completed() ? v1::Task::COMPLETED : event.ended().state());
      response.set_reason(event.ended().reason());
      if (event.has_completed()) {
        *response.mutable_label() = ToLabel(task, event.completed(), event.time_ms());
      }
      response.set_cursor(absl::StrCat(position));
      if (!writer.Write(response)) return absl::CancelledError("the client went away");
    }
    if (!ends.empty()) continue;
    if (request.until_idle()) return absl::OkStatus();
    parts_.index->AwaitEnd(name.key(), cursor, absl::Milliseconds(500));
  }
  return absl::CancelledError("the client went away");
}

absl::Status TaskServiceImpl::Export(const Principal& principal,
                                     const v1::ExportLabelsRequest& request,
                                     grpc::ServerWriter<v1::ExportLabelsResponse>& writer) {
  ASSIGN_OR_RETURN(ProjectName name, ParseProject("project", request.project()));
  RETURN_IF_ERROR(CheckTenant(principal, name.tenant));
  RETURN_IF_ERROR(parts_.registry->Project(name.key()).status());
  v1::ExportLabelsResponse response;
  bool connected = true;
  auto flush = [&] {
    if (!response.chunk().empty()) connected = connected && writer.Write(response);
    response.clear_chunk();
  };
  RETURN_IF_ERROR(parts_.index->VisitLabelled(
      name.key(), [&](const store::v1::TaskRecord& task, const store::v1::LabelRecord& label) {
        if (task.has_gold() || !connected) return;
        std::string line = Line(ToLabel(task, label, 0), request.format());
        if (response.chunk().size() + line.size() > kChunkBytes) flush();
        for (size_t at = 0; at < line.size(); at += kChunkBytes) {
          response.mutable_chunk()->append(line.substr(at, kChunkBytes));
          if (response.chunk().size() >= kChunkBytes) flush();
        }
      }));
  flush();
  return connected ? absl::OkStatus() : absl::CancelledError("the client went away");
}

absl::Status TaskServiceImpl::Explain(const Principal& principal, const std::string& name,
                                      v1::ExplainTaskResponse& response) {
  ASSIGN_OR_RETURN(TaskName task, ParseTask("name", name));
  RETURN_IF_ERROR(Read(principal, name, *response.mutable_task()));
  ASSIGN_OR_RETURN(std::vector<store::v1::Event> events, parts_.index->History(task.task, 1000));
  for (store::v1::Event& event : events) {
    response.add_history(Describe(event));
    if (event.has_decision() && response.decisions_size() < 100) {
      *response.add_decisions() = Public(std::move(*event.mutable_decision()), task.project.key());
    }
  }
  if (response.task().state() == v1::Task::READY || response.task().state() == v1::Task::OPEN) {
    ASSIGN_OR_RETURN(const store::v1::ProjectRecord project,
                     parts_.registry->Project(task.project.key()));
    if (std::string why = WhyNotOffered(parts_, project); !why.empty()) {
      response.add_history(std::move(why));
    }
  }
  return absl::OkStatus();
}

}  // namespace fairlead::api
