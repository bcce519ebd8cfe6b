#include "scheduler/collect/collector.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/redis/keys.h"
#include "scheduler/learn/prelabel_use.h"
#include "scheduler/quality/aggregation.h"
#include "scheduler/quality/redundancy.h"

namespace fairlead::collect {
namespace {

// Two contractors who call a task broken are believed.
constexpr int kReportsToDie = 2;

// Of a task that its prelabel decides alone.
store::v1::LabelRecord LabelByModel(const store::TaskState& task) {
  store::v1::LabelRecord label;
  label.set_task(task.record.task());
  *label.mutable_answer() = task.prelabel.answer();
  label.set_confidence(task.prelabel.confidence());
  label.set_used_prelabel(true);
  label.set_aggregation("prelabel/1");
  return label;
}

quality::RedundancyLimits LimitsOf(const store::v1::ProjectRecord& project,
                                   const store::TaskState& task) {
  const quality::RedundancyLimits limits = quality::Limits(project.settings().redundancy());
  return task.record.checks().empty() ? limits : quality::LimitsOfCheck(limits);
}

// Whether the last answer is an adjudicator's: of those who were asked for it, if he was asked
// before it became anybody's.
bool IsAdjudicated(const quality::RedundancyLimits& limits, const store::TaskState& task) {
  const size_t count = task.annotations.size();
  if (count < 2) return false;
  return quality::IsAdjudicators(
      limits, static_cast<int>(count) - 1,
      task.annotations[count - 1].offered_ms() - task.annotations[count - 2].accept_ms());
}

}  // namespace

store::v1::LabelRecord LabelOf(const store::v1::ProjectRecord& project,
                               const store::TaskState& task, const quality::ScoreBook& scores,
                               const quality::batch::Calibration& calibration) {
  const fairlead::v1::AnswerSchema& schema = project.settings().answer_schema();
  std::vector<quality::Vote> votes;
  for (const store::v1::AnnotationRecord& record : task.annotations) {
    if (record.erased()) continue;
    votes.push_back({record.contractor(), record.answer(),
                     scores.QualityMean(record.contractor(), schema.kind())});
  }
  std::optional<quality::ModelVote> model;
  if (task.has_prelabel) model = {task.prelabel.answer(), task.prelabel.confidence()};
  store::v1::LabelRecord label;
  label.set_task(task.record.task());
  label.set_answers(static_cast<int32_t>(votes.size()));
  const fairlead::v1::Answer* gold = task.record.has_gold() ? &task.record.gold() : nullptr;
  if (gold != nullptr) {
    *label.mutable_answer() = *gold;
    label.set_confidence(1.0);
    label.set_aggregation("gold");
  } else {
    quality::Consensus consensus = quality::Aggregate(schema, votes, model);
    *label.mutable_answer() = std::move(consensus.answer);
    label.set_confidence(calibration(consensus.confidence));
    if (!calibration.identity()) label.set_raw_confidence(consensus.confidence);
    label.set_used_prelabel(consensus.used_prelabel);
    label.set_aggregation(consensus.method);
    label.set_adjudicated(IsAdjudicated(LimitsOf(project, task), task));
  }
  for (store::v1::Evidence& evidence : quality::Judge(schema, votes, model, gold)) {
    *label.add_evidence() = std::move(evidence);
  }
  return label;
}

absl::Status Collector::Conclude(const store::TaskRef& ref, const store::v1::ProjectRecord& project,
                                 const store::TaskState& task) {
  if (task.have == 0 && task.open == 0 && task.has_prelabel && !task.record.has_gold() &&
      task.record.checks().empty()) {
    const learn::Proven proven =
        learn::ProvenOf(project.settings().model_loop(),
                        registry_->Model(ref.project).value_or(store::v1::ModelRecord()));
    if (learn::IsDecidedByModel(proven, ref.task, task.prelabel.model_version(),
                                task.prelabel.confidence())) {
      return tasks_->Complete(ref, task.version, LabelByModel(task)).status();
    }
  }
  const store::v1::LabelRecord label =
      LabelOf(project, task, *scores_, calibrations_->Of(ref.project));
  bool complete = false;
  int want = task.want;
  if (task.record.has_gold()) {
    complete = task.have >= task.want;
  } else if (task.have > 0) {
    const quality::RedundancyDecision decision =
        quality::DecideRedundancy(LimitsOf(project, task), task.have, label.confidence());
    complete = decision.verdict == quality::Verdict::kComplete;
    want = std::max(decision.want, task.have + task.open);
  }
  // A lost race is no error: whoever won has marked the task dirty again, or ended it.
  if (complete) return tasks_->Complete(ref, task.version, label).status();
  return tasks_->SetWant(ref, task.version, want).status();
}

absl::Status Collector::Decide(const store::TaskRef& ref) {
  absl::StatusOr<store::TaskState> task = tasks_->Load(ref);
  if (absl::IsNotFound(task.status())) return absl::OkStatus();
  RETURN_IF_ERROR(task.status());
  ASSIGN_OR_RETURN(store::v1::ProjectRecord project, registry_->Project(ref.project));
  if (task->reports >= kReportsToDie) {
    return tasks_
        ->End(ref, fairlead::v1::Task::DEAD,
              absl::StrCat("reported as broken by ", task->reports, " contractors"))
        .status();
  }
  return Conclude(ref, project, *task);
}

absl::StatusOr<int> Collector::RunOnce(int limit) {
  int decided = 0;
  for (const std::string& slot : tasks_->topology().ShardSlots()) {
    redis::ConnectionPool& pool = tasks_->caller().pool();
    ASSIGN_OR_RETURN(redis::Reply dirty,
                     pool.Call({"ZRANGE", redis::DirtyKey(slot), "0", absl::StrCat(limit - 1)}));
    std::vector<redis::Arguments> reads;
    for (const redis::Reply& id : dirty.elements) {
      reads.push_back({"HGET", redis::TaskKey(slot, id.text), "p"});
    }
    if (reads.empty()) continue;
    ASSIGN_OR_RETURN(std::vector<redis::Reply> projects, pool.Pipeline(reads));
    for (size_t i = 0; i < projects.size(); ++i) {
      const absl::Status status = Decide({projects[i].AsText(), dirty.elements[i].text});
      if (absl::IsUnavailable(status)) return status;
      if (!status.ok()) {
        FAIRLEAD_LOG(WARNING) << "task not decided task=" << dirty.elements[i].text << " error=\""
                              << status.message() << "\"";
        continue;
      }
      ++decided;
    }
  }
  return decided;
}

}  // namespace fairlead::collect
