#include "scheduler/quality/calibration_book.h"

#include <algorithm>
#include <utility>

#include "scheduler/quality/redundancy.h"

namespace fairlead::quality {
namespace {

constexpr size_t kFitEachBelow = 64;
constexpr size_t kFitPart = 16;

}  // namespace

std::vector<batch::StatedConfidence> GoldCases(const v1::AnswerSchema& schema,
                                               const std::vector<Vote>& votes,
                                               const std::optional<ModelVote>& model,
                                               const v1::Answer& gold, size_t least_answers) {
  std::vector<batch::StatedConfidence> cases;
  if (schema.kind() == v1::TASK_KIND_FREE_TEXT) return cases;
  const size_t least = std::min(std::max<size_t>(least_answers, 1), votes.size());
  for (size_t n = least; n > 0 && n <= votes.size(); ++n) {
    const std::vector<Vote> so_far(votes.begin(), votes.begin() + static_cast<std::ptrdiff_t>(n));
    const Consensus consensus = Aggregate(schema, so_far, model);
    if (consensus.answer.value_case() == v1::Answer::VALUE_NOT_SET) continue;
    cases.push_back({consensus.confidence, SameAnswer(schema, consensus.answer, gold)});
  }
  return cases;
}

void CalibrationBook::Submitted(const store::v1::Event& event) {
  const absl::StatusOr<store::SharedProjectRecord> project =
      registry_->SharedProject(event.project());
  if (project.ok() && (*project)->settings().has_qualification()) return;
  for (const store::v1::TaskRecord& task : event.tasks_submitted().tasks()) {
    if (task.has_gold()) open_[task.task()].gold = task.gold();
  }
}

void CalibrationBook::Answered(const store::v1::Event& event) {
  const auto found = open_.find(event.key());
  if (found == open_.end()) return;
  const absl::StatusOr<store::SharedProjectRecord> project =
      registry_->SharedProject(event.project());
  if (!project.ok()) return;
  const store::v1::AnnotationRecord& record = event.annotated();
  const v1::TaskKind kind = (*project)->settings().answer_schema().kind();
  found->second.votes.push_back(
      {record.contractor(), record.answer(), scores_->QualityMean(record.contractor(), kind)});
}

void CalibrationBook::Completed(const store::v1::Event& event, const OpenGold& gold) {
  const absl::StatusOr<store::SharedProjectRecord> record =
      registry_->SharedProject(event.project());
  if (!record.ok()) return;
  const RedundancyLimits limits = Limits((*record)->settings().redundancy());
  std::vector<batch::StatedConfidence> cases =
      GoldCases((*record)->settings().answer_schema(), gold.votes, gold.model, gold.gold,
                static_cast<size_t>(limits.min_answers));
  if (cases.empty()) return;
  Project& project = projects_[event.project()];
  project.gold.push_back({event.key(), std::move(cases)});
  if (project.gold.size() > kMostGold) project.gold.pop_front();
  ++project.since_fit;
  const size_t size = project.gold.size();
  if (size < kLeastGold || (size >= kFitEachBelow && project.since_fit < size / kFitPart)) return;
  Fit(project);
}

void CalibrationBook::Fit(Project& project) {
  std::vector<batch::StatedConfidence> all;
  for (const Gold& gold : project.gold) all.insert(all.end(), gold.cases.begin(), gold.cases.end());
  project.fitted = batch::Calibration::Fit(all);
  project.since_fit = 0;
}

void CalibrationBook::Retracted(const store::v1::Event& event) {
  const auto found = projects_.find(event.project());
  if (found == projects_.end()) return;
  Project& project = found->second;
  const auto of_task = [&](const Gold& gold) { return gold.task == event.key(); };
  if (std::erase_if(project.gold, of_task) == 0) return;
  if (project.gold.size() >= kLeastGold) {
    Fit(project);
  } else {
    project.fitted = batch::Calibration();
  }
}

void CalibrationBook::Apply(const store::v1::Event& event, int64_t) {
  MutexLock lock(&mu_);
  if (event.has_tasks_submitted()) return Submitted(event);
  if (event.has_annotated()) return Answered(event);
  if (event.has_gold_retracted()) return Retracted(event);
  const auto found = open_.find(event.key());
  if (found == open_.end()) return;
  if (event.has_prelabelled()) {
    found->second.model = {event.prelabelled().answer(), event.prelabelled().confidence()};
  } else if (event.has_erased()) {
    std::erase_if(found->second.votes,
                  [&](const Vote& vote) { return vote.contractor == event.erased().contractor(); });
  } else if (event.has_completed()) {
    Completed(event, found->second);
    open_.erase(found);
  } else if (event.has_ended()) {
    open_.erase(found);
  }
}

size_t CalibrationBook::GoldOf(absl::string_view project) const {
  MutexLock lock(&mu_);
  const auto found = projects_.find(project);
  return found == projects_.end() ? 0 : found->second.gold.size();
}

batch::Calibration CalibrationBook::Of(absl::string_view project) const {
  MutexLock lock(&mu_);
  const auto found = projects_.find(project);
  return found == projects_.end() ? batch::Calibration() : found->second.fitted;
}

}  // namespace fairlead::quality
