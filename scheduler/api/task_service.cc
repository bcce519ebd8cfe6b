#include "scheduler/api/task_service.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "scheduler/api/call.h"
#include "scheduler/api/convert.h"
#include "scheduler/api/names.h"
#include "scheduler/api/validate.h"
#include "scheduler/collect/collector.h"
#include "scheduler/learn/manifests.h"
#include "scheduler/store/task_refusals.h"

namespace fairlead::api {
namespace {

constexpr char kService[] = "/fairlead.v1.TaskService/";

// A task's payload with its image in the blob store. Blobs named by the client must be there.
absl::StatusOr<v1::Payload> StorePayload(const Parts& parts, const std::string& tenant,
                                         const std::string& field, v1::Payload payload) {
  if (!payload.has_image_text()) return payload;
  v1::Payload::ImageText& image = *payload.mutable_image_text();
  if (image.blob().empty()) {
    ASSIGN_OR_RETURN(*image.mutable_blob(), parts.blobs->Put(tenant, image.image()));
    image.clear_image();
    return payload;
  }
  ASSIGN_OR_RETURN(bool known, parts.blobs->Has(tenant, image.blob()));
  if (!known) {
    return FieldError(field + ".payload.image_text.blob",
                      "is no blob of this tenant: upload it first");
  }
  return payload;
}

}  // namespace

absl::Status TaskServiceImpl::StoreBatch(const store::v1::ProjectRecord& project,
                                         const std::string& request_id,
                                         const std::string& body_hash,
                                         const std::vector<v1::Task>& tasks,
                                         const std::vector<v1::Answer>& gold,
                                         v1::SubmitTasksResponse& response) {
  const std::string tenant = project.project().substr(0, project.project().find('/'));
  const absl::Time now = parts_.clock->Now();
  const v1::Redundancy& redundancy = project.settings().redundancy();
  absl::BitGen gen;
  std::vector<store::v1::TaskRecord> records;
  for (size_t i = 0; i < tasks.size(); ++i) {
    store::v1::TaskRecord record;
    record.set_task(NewId(now, gen));
    record.set_project(project.project());
    ASSIGN_OR_RETURN(
        *record.mutable_payload(),
        StorePayload(parts_, tenant, absl::StrCat(gold.empty() ? "tasks[" : "gold[", i, "]"),
                     tasks[i].payload()));
    record.set_priority(tasks[i].priority());
    record.set_group(tasks[i].group());
    record.set_external_id(tasks[i].external_id());
    record.set_create_ms(absl::ToUnixMillis(now));
    record.set_expire_ms(record.create_ms() + ToMillis(project.settings().task_expiry()));
    if (tasks[i].has_start_time()) record.set_start_ms(ToMillis(tasks[i].start_time()));
    record.set_want(gold.empty() ? redundancy.min_answers() : redundancy.gold_answers());
    if (!gold.empty()) *record.mutable_gold() = gold[i];
    records.push_back(std::move(record));
  }
  const uint64_t life = parts_.follower->Life();
  ASSIGN_OR_RETURN(store::Submitted submitted,
                   parts_.tasks->Submit(project.project(), request_id, body_hash, records));
  RETURN_IF_ERROR(AwaitTask(parts_, project.project(), submitted.seq, life));
  for (const std::string& task : submitted.tasks)
    response.add_names(TaskNameOf(project.project(), task));
  return absl::OkStatus();
}

absl::Status TaskServiceImpl::Submit(const Principal& principal,
                                     const v1::SubmitTasksRequest& request,
                                     v1::SubmitTasksResponse& response) {
  ASSIGN_OR_RETURN(ProjectName name, ParseProject("project", request.project()));
  RETURN_IF_ERROR(CheckTenant(principal, name.tenant));
  ASSIGN_OR_RETURN(store::v1::ProjectRecord project, parts_.registry->Project(name.key()));
  if (project.settings().has_qualification()) {
    return Error(absl::StatusCode::kFailedPrecondition, "STATE_TEST_PROJECT",
                 absl::StrCat("project ", project.project(), " tests the skill ",
                              project.settings().qualification().skill(),
                              ": its tasks are gold, add them with AddGold"));
  }
  RETURN_IF_ERROR(ValidateSubmit(request, project.settings().answer_schema()));
  return StoreBatch(project, request.request_id(), Sha256Hex(learn::DeterministicBytes(request)),
                    {request.tasks().begin(), request.tasks().end()}, {}, response);
}

absl::Status TaskServiceImpl::Gold(const Principal& principal, const v1::AddGoldRequest& request,
                                   v1::SubmitTasksResponse& response) {
  ASSIGN_OR_RETURN(ProjectName name, ParseProject("project", request.project()));
  RETURN_IF_ERROR(CheckTenant(principal, name.tenant));
  ASSIGN_OR_RETURN(store::v1::ProjectRecord project, parts_.registry->Project(name.key()));
  RETURN_IF_ERROR(ValidateGold(request, project.settings().answer_schema()));
  std::vector<v1::Task> tasks;
  std::vector<v1::Answer> answers;
  for (const v1::AddGoldRequest::Gold& gold : request.gold()) {
    tasks.push_back(gold.task());
    answers.push_back(gold.answer());
  }
  return StoreBatch(project, request.request_id(), Sha256Hex(learn::DeterministicBytes(request)),
                    tasks, answers, response);
}

absl::Status TaskServiceImpl::Read(const Principal& principal, const std::string& name,
                                   v1::Task& response) {
  ASSIGN_OR_RETURN(TaskName task, ParseTask("name", name));
  RETURN_IF_ERROR(CheckTenant(principal, task.project.tenant));
  ASSIGN_OR_RETURN(store::TaskState state, parts_.archive->Load(task.ref()));
  response = ToTask(state, /*with_annotations=*/true);
  return absl::OkStatus();
}

absl::Status TaskServiceImpl::List(const Principal& principal, const v1::ListTasksRequest& request,
                                   v1::ListTasksResponse& response) {
  ASSIGN_OR_RETURN(ProjectName name, ParseProject("project", request.project()));
  RETURN_IF_ERROR(CheckTenant(principal, name.tenant));
  ASSIGN_OR_RETURN(size_t size, PageSize(request.page_size()));
  RETURN_IF_ERROR(parts_.registry->Project(name.key()).status());
  std::vector<std::string> page = parts_.view->TasksOf(name.key(), request.page_token(), size + 1);
  if (page.size() > size) {
    page.pop_back();
    response.set_next_page_token(page.back());
  }
  for (const std::string& task : page) {
    absl::StatusOr<store::TaskState> state = parts_.archive->Load({name.key(), task});
    if (absl::IsNotFound(state.status())) continue;
    RETURN_IF_ERROR(state.status());
    *response.add_tasks() = ToTask(*state, /*with_annotations=*/false);
  }
  return absl::OkStatus();
}

absl::Status TaskServiceImpl::Cancel(const Principal& principal,
                                     const v1::CancelTaskRequest& request, v1::Task& response) {
  ASSIGN_OR_RETURN(TaskName task, ParseTask("name", request.name()));
  RETURN_IF_ERROR(CheckTenant(principal, task.project.tenant));
  if (request.reason().size() > 1024)
    return FieldError("reason", "at most 1,024 bytes are allowed");
  const std::string reason =
      request.reason().empty() ? "cancelled by the client" : request.reason();
  const uint64_t life = parts_.follower->Life();
  absl::StatusOr<uint64_t> seq = parts_.tasks->End(task.ref(), v1::Task::CANCELLED, reason);
  if (absl::IsNotFound(seq.status())) {
    // Ended long ago: refused as if it were still in Redis.
    ASSIGN_OR_RETURN(store::TaskState ended, parts_.archive->Load(task.ref()));
    if (ended.state != v1::Task::CANCELLED)
      return store::HasEnded(task.task, v1::Task::State_Name(ended.state));
    seq = 0;
  }
  RETURN_IF_ERROR(seq.status());
  RETURN_IF_ERROR(AwaitTask(parts_, task.project.key(), *seq, life));
  return Read(principal, request.name(), response);
}

absl::Status TaskServiceImpl::Delete(const Principal& principal,
                                     const v1::DeleteAnnotationRequest& request,
                                     v1::Task& response) {
  ASSIGN_OR_RETURN(const TaskName task, ParseTask("name", request.name()));
  RETURN_IF_ERROR(CheckTenant(principal, task.project.tenant));
  ASSIGN_OR_RETURN(const std::string contractor,
                   ParseContractor("contractor", request.contractor()));
  const uint64_t life = parts_.follower->Life();
  ASSIGN_OR_RETURN(const store::TaskState state, parts_.archive->Load(task.ref()));
  for (const store::v1::AnnotationRecord& kept : state.annotations) {
    if (kept.contractor() != contractor) continue;
    store::v1::AnnotationRecord left = kept;
    left.clear_answer();
    left.set_erased(true);
    ASSIGN_OR_RETURN(const uint64_t seq, parts_.tasks->Erase(task.ref(), left));
    RETURN_IF_ERROR(AwaitTask(parts_, task.project.key(), seq, life));
    return Read(principal, request.name(), response);
  }
  return store::NoSuchAnnotation(task.task, contractor);
}

absl::StatusOr<store::TaskState> TaskServiceImpl::EndGold(const TaskName& task,
                                                          const std::string& reason) {
  ASSIGN_OR_RETURN(store::TaskState state, parts_.archive->Load(task.ref()));
  if (!state.record.has_gold()) {
    return Error(absl::StatusCode::kFailedPrecondition, "NOT_GOLD",
                 absl::StrCat("task ", task.task, " is no gold task: nobody is judged by it"));
  }
  const bool goes_on = state.state == v1::Task::READY || state.state == v1::Task::DELAYED ||
                       state.state == v1::Task::OPEN;
  if (!goes_on) return state;
  const absl::Status ended =
      parts_.tasks
          ->End(task.ref(), v1::Task::CANCELLED, absl::StrCat("the gold was retracted: ", reason))
          .status();
  // It may have completed meanwhile.
  if (!ended.ok() && ReasonOf(ended) != "STATE_TERMINAL") return ended;
  return parts_.archive->Load(task.ref());
}

absl::Status TaskServiceImpl::Retract(const Principal& principal,
                                      const v1::RetractGoldRequest& request, v1::Task& response) {
  ASSIGN_OR_RETURN(const TaskName task, ParseTask("name", request.name()));
  RETURN_IF_ERROR(CheckTenant(principal, task.project.tenant));
  if (request.reason().empty() || request.reason().size() > 1024) {
    return FieldError("reason", "must be 1 to 1,024 bytes: it stays with the task");
  }
  ASSIGN_OR_RETURN(const store::v1::ProjectRecord project,
                   parts_.registry->Project(task.project.key()));
  const uint64_t life = parts_.follower->Life();
  ASSIGN_OR_RETURN(const store::TaskState state, EndGold(task, request.reason()));
  if (!state.label.retracted().empty()) return Read(principal, request.name(), response);
  store::v1::LabelRecord label = state.has_label ? state.label
                                                 : collect::LabelOf(project, state, *parts_.scores,
                                                                    quality::batch::Calibration());
  label.set_retracted(request.reason());
  ASSIGN_OR_RETURN(const uint64_t seq, parts_.tasks->Retract(task.ref(), label));
  RETURN_IF_ERROR(AwaitTask(parts_, task.project.key(), seq, life));
  return Read(principal, request.name(), response);
}

grpc::Status TaskServiceImpl::SubmitTasks(grpc::ServerContext* context,
                                          const v1::SubmitTasksRequest* request,
                                          v1::SubmitTasksResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "SubmitTasks"),
               [&](const Principal& principal) { return Submit(principal, *request, *response); });
}

grpc::Status TaskServiceImpl::AddGold(grpc::ServerContext* context,
                                      const v1::AddGoldRequest* request,
                                      v1::SubmitTasksResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "AddGold"),
               [&](const Principal& principal) { return Gold(principal, *request, *response); });
}

grpc::Status TaskServiceImpl::GetTask(grpc::ServerContext* context,
                                      const v1::GetTaskRequest* request, v1::Task* response) {
  return Serve(
      parts_, *context, absl::StrCat(kService, "GetTask"),
      [&](const Principal& principal) { return Read(principal, request->name(), *response); });
}

grpc::Status TaskServiceImpl::ListTasks(grpc::ServerContext* context,
                                        const v1::ListTasksRequest* request,
                                        v1::ListTasksResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "ListTasks"),
               [&](const Principal& principal) { return List(principal, *request, *response); });
}

grpc::Status TaskServiceImpl::CancelTask(grpc::ServerContext* context,
                                         const v1::CancelTaskRequest* request, v1::Task* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "CancelTask"),
               [&](const Principal& principal) { return Cancel(principal, *request, *response); });
}

grpc::Status TaskServiceImpl::DeleteAnnotation(grpc::ServerContext* context,
                                               const v1::DeleteAnnotationRequest* request,
                                               v1::Task* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "DeleteAnnotation"),
               [&](const Principal& principal) { return Delete(principal, *request, *response); });
}

grpc::Status TaskServiceImpl::RetractGold(grpc::ServerContext* context,
                                          const v1::RetractGoldRequest* request,
                                          v1::Task* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "RetractGold"),
               [&](const Principal& principal) { return Retract(principal, *request, *response); });
}

grpc::Status TaskServiceImpl::StreamResults(grpc::ServerContext* context,
                                            const v1::StreamResultsRequest* request,
                                            grpc::ServerWriter<v1::StreamResultsResponse>* writer) {
  return Serve(
      parts_, *context, absl::StrCat(kService, "StreamResults"),
      [&](const Principal& principal) { return Stream(principal, *request, *context, *writer); });
}

grpc::Status TaskServiceImpl::ExportLabels(grpc::ServerContext* context,
                                           const v1::ExportLabelsRequest* request,
                                           grpc::ServerWriter<v1::ExportLabelsResponse>* writer) {
  return Serve(parts_, *context, absl::StrCat(kService, "ExportLabels"),
               [&](const Principal& principal) { return Export(principal, *request, *writer); });
}

grpc::Status TaskServiceImpl::ExplainTask(grpc::ServerContext* context,
                                          const v1::ExplainTaskRequest* request,
                                          v1::ExplainTaskResponse* response) {
  return Serve(
      parts_, *context, absl::StrCat(kService, "ExplainTask"),
      [&](const Principal& principal) { return Explain(principal, request->name(), *response); });
}

}  // namespace fairlead::api
