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
#include "scheduler/quality/review.h"

namespace fairlead::collect {
namespace {

// Two contractors who call a task broken are believed.
constexpr int kReportsToDie = 2;

bool IsReviewed(const store::v1::ProjectRecord& project, const store::TaskState& task) {
  return project.settings().review() && !task.record.has_gold();
}

// As sure as the reviewer is good.
store::v1::LabelRecord LabelByReview(const store::TaskState& task,
                                     const quality::ReviewOutcome& outcome,
                                     const quality::ScoreBook& scores) {
  store::v1::LabelRecord label;
  label.set_task(task.record.task());
  label.set_answers(task.have);
  label.set_aggregation("review/1");
  if (outcome.step != quality::ReviewOutcome::Step::kComplete) return label;
  *label.mutable_answer() = outcome.text;
  label.set_confidence(scores.QualityMean(outcome.reviewer, fairlead::v1::TASK_KIND_FREE_TEXT));
  for (const store::v1::Evidence& evidence : outcome.evidence) *label.add_evidence() = evidence;
  return label;
}

quality::ReviewOutcome OutcomeOf(const store::v1::ProjectRecord& project,
                                 const store::TaskState& task) {
  return quality::DecideReview(project.settings().answer_schema(), task.annotations,
                               project.settings().redundancy().max_answers());
}

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
  return quality::LimitsOfTask(project.settings().redundancy(), task.record.priority(),
                               !task.record.checks().empty());
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
  if (IsReviewed(project, task)) return LabelByReview(task, OutcomeOf(project, task), scores);
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

store::Conclusion Collector::Conclude(const store::TaskRef& ref,
                                      const store::v1::ProjectRecord& project,
                                      const store::TaskState& task) const {
  store::Conclusion conclusion{ref, task.version, std::nullopt, "", task.want};
  if (task.have == 0 && task.open == 0 && task.has_prelabel && !task.record.has_gold() &&
      task.record.checks().empty() &&
      !quality::IsValued(project.settings().redundancy(), task.record.priority())) {
    const learn::Proven proven =
        learn::ProvenOf(project.settings().model_loop(),
                        registry_->Model(ref.project).value_or(store::v1::ModelRecord()));
    if (learn::IsDecidedByModel(proven, ref.task, task.prelabel.model_version(),
                                task.prelabel.confidence())) {
      conclusion.label = LabelByModel(task);
      return conclusion;
    }
  }
  if (IsReviewed(project, task)) {
    const quality::ReviewOutcome outcome = OutcomeOf(project, task);
    conclusion.want = std::max(outcome.want, task.have + task.open);
    conclusion.broken = outcome.reason;
    if (outcome.step == quality::ReviewOutcome::Step::kComplete) {
      conclusion.label = LabelByReview(task, outcome, *scores_);
    }
    return conclusion;
  }
  store::v1::LabelRecord label = LabelOf(project, task, *scores_, calibrations_->Of(ref.project));
  bool complete = false;
  if (task.record.has_gold()) {
    complete = task.have >= task.want;
  } else if (task.have > 0) {
    const quality::RedundancyDecision decision =
        quality::DecideRedundancy(LimitsOf(project, task), task.have, label.confidence());
    complete = decision.verdict == quality::Verdict::kComplete;
    conclusion.want = std::max(decision.want, task.have + task.open);
  }
  if (complete) conclusion.label = std::move(label);
  return conclusion;
}

absl::StatusOr<store::Conclusion> Collector::Decide(const store::TaskState& task) const {
  const store::TaskRef ref{task.record.project(), task.record.task()};
  ASSIGN_OR_RETURN(const store::SharedProjectRecord project, registry_->SharedProject(ref.project));
  if (task.reports < kReportsToDie) return Conclude(ref, *project, task);
  return store::Conclusion{ref, task.version, std::nullopt,
                           absl::StrCat("reported as broken by ", task.reports, " contractors"),
                           task.want};
}

absl::Status Collector::SetQuestionsApart(const std::string& slot, std::vector<std::string>& ids,
                                          std::vector<store::Conclusion>& conclusions) const {
  if (!tests_->has_tests()) return absl::OkStatus();
  std::vector<redis::Arguments> reads;
  reads.reserve(ids.size());
  for (const std::string& id : ids) {
    reads.push_back({"HMGET", redis::TaskKey(slot, id), "p", "v", "want", "have", "reports"});
  }
  ASSIGN_OR_RETURN(const std::vector<redis::Reply> replies,
                   tasks_->caller().pool().Pipeline(reads));
  std::vector<std::string> others;
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::vector<redis::Reply>& f = replies[i].elements;
    const bool goes_on = f.size() == 5 && tests_->IsTest(f[0].text) &&
                         f[3].AsInt() < f[2].AsInt() && f[4].AsInt() < kReportsToDie;
    if (goes_on) {
      conclusions.push_back({{f[0].text, ids[i]},
                             f[1].AsInt(),
                             std::nullopt,
                             "",
                             static_cast<int32_t>(f[2].AsInt())});
    } else {
      others.push_back(std::move(ids[i]));
    }
  }
  ids = std::move(others);
  return absl::OkStatus();
}

absl::StatusOr<int> Collector::RunShard(const std::string& slot, int limit) {
  ASSIGN_OR_RETURN(const redis::Reply dirty,
                   tasks_->caller().pool().Call(
                       {"ZRANGE", redis::DirtyKey(slot), "0", absl::StrCat(limit - 1)}));
  if (dirty.elements.empty()) return 0;
  std::vector<std::string> ids;
  for (const redis::Reply& id : dirty.elements) ids.push_back(id.text);
  std::vector<store::Conclusion> conclusions;
  RETURN_IF_ERROR(SetQuestionsApart(slot, ids, conclusions));
  std::vector<store::TaskState> states;
  if (!ids.empty()) {
    ASSIGN_OR_RETURN(states, tasks_->LoadAll(slot, ids));
  }
  for (const store::TaskState& state : states) {
    absl::StatusOr<store::Conclusion> conclusion = Decide(state);
    if (conclusion.ok()) {
      conclusions.push_back(*std::move(conclusion));
    } else {
      FAIRLEAD_LOG(WARNING) << "task not decided task=" << state.record.task() << " error=\""
                            << conclusion.status().message() << "\"";
    }
  }
  // A lost race is no error: whoever won has marked the task dirty again, or ended it.
  ASSIGN_OR_RETURN(const std::vector<absl::Status> done, tasks_->Conclude(slot, conclusions));
  int decided = 0;
  for (size_t i = 0; i < done.size(); ++i) {
    if (done[i].ok()) {
      ++decided;
    } else {
      FAIRLEAD_LOG(WARNING) << "task not concluded task=" << conclusions[i].ref.task << " error=\""
                            << done[i].message() << "\"";
    }
  }
  return decided;
}

absl::StatusOr<int> Collector::RunOnce(int limit) {
  int decided = 0;
  for (const std::string& slot : tasks_->topology().ShardSlots()) {
    ASSIGN_OR_RETURN(const int done, RunShard(slot, limit));
    decided += done;
  }
  return decided;
}

}  // namespace fairlead::collect
