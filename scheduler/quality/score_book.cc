#include "scheduler/quality/score_book.h"

#include <algorithm>

namespace fairlead::quality {

ContractorScore& ScoreBook::ScoreOf(const std::string& contractor, fairlead::v1::TaskKind kind) {
  return scores_[contractor][static_cast<int>(kind)];
}

void ScoreBook::Judge(const std::string& task, const store::v1::Evidence& evidence, int64_t now_ms,
                      ContractorScore& score) {
  AddEvidence(evidence, now_ms, score);
  if (evidence.gold()) gold_[task].push_back({evidence, MarkOf(score)});
}

void ScoreBook::Retract(const std::string& task, fairlead::v1::TaskKind kind) {
  const auto found = gold_.find(task);
  if (found == gold_.end()) return;
  for (const Judged& judged : found->second) {
    RetractEvidence(judged.evidence, judged.mark, ScoreOf(judged.evidence.contractor(), kind));
  }
  gold_.erase(found);
}

void ScoreBook::NoteGold(const store::v1::Event& event) {
  for (const store::v1::TaskRecord& task : event.tasks_submitted().tasks()) {
    if (task.has_gold()) open_gold_.insert(task.task());
  }
  if (event.has_completed() || event.has_ended()) open_gold_.erase(event.key());
}

void ScoreBook::Apply(const store::v1::Event& event, int64_t) {
  if (event.has_tasks_submitted() || event.has_completed() || event.has_ended()) {
    MutexLock lock(&mu_);
    NoteGold(event);
  }
  if (!event.has_annotated() && !event.has_completed() && !event.has_placement() &&
      !event.has_gold_retracted()) {
    return;
  }
  const absl::StatusOr<store::SharedProjectRecord> project =
      registry_->SharedProject(event.project());
  if (!project.ok()) return;
  const fairlead::v1::TaskKind kind = (*project)->settings().answer_schema().kind();
  MutexLock lock(&mu_);
  if (event.has_annotated()) {
    const store::v1::AnnotationRecord& record = event.annotated();
    ContractorScore& score = ScoreOf(record.contractor(), kind);
    // Active seconds as the page measured them; wall time between accept and submit otherwise.
    const int64_t wall_ms = record.accept_ms() - record.accepted_ms();
    const int64_t active_ms =
        record.active_ms() > 0 ? std::min(record.active_ms(), wall_ms) : wall_ms;
    AddPace(static_cast<double>(std::max<int64_t>(active_ms, 1)) / 1000, score);
    if (open_gold_.contains(event.key())) ++score.gold_answers;
    AddOfferOutcome(true, static_cast<double>(record.accepted_ms() - record.offered_ms()) / 1000,
                    event.time_ms(), score);
    if (const auto evidence = tests_->EvidenceOf(event); evidence.has_value()) {
      Judge(event.key(), *evidence, event.time_ms(), score);
    }
  } else if (event.has_completed()) {
    if ((*project)->settings().has_qualification()) return;  // Judged answer by answer.
    for (const store::v1::Evidence& evidence : event.completed().evidence()) {
      Judge(event.key(), evidence, event.time_ms(), ScoreOf(evidence.contractor(), kind));
    }
  } else if (event.has_gold_retracted()) {
    Retract(event.key(), kind);
  } else if (event.placement().state() == store::v1::Placement::LAPSED) {
    const store::v1::Placement& place = event.placement();
    AddOfferOutcome(false, static_cast<double>(place.deadline_ms() - place.offered_ms()) / 1000,
                    event.time_ms(), ScoreOf(place.contractor(), kind));
  }
}

ScoresByKind ScoreBook::Scores(absl::string_view contractor) const {
  MutexLock lock(&mu_);
  auto found = scores_.find(contractor);
  return found == scores_.end() ? ScoresByKind() : found->second;
}

ContractorScore ScoreBook::Score(absl::string_view contractor, fairlead::v1::TaskKind kind) const {
  MutexLock lock(&mu_);
  auto found = scores_.find(contractor);
  if (found == scores_.end()) return ContractorScore();
  auto score = found->second.find(static_cast<int>(kind));
  return score == found->second.end() ? ContractorScore() : score->second;
}

double ScoreBook::QualityMean(absl::string_view contractor, fairlead::v1::TaskKind kind) const {
  return Quality(Score(contractor, kind)).mean;
}

}  // namespace fairlead::quality
