// How far the stated confidence of each project's labels is to be believed, fitted on its answered
// gold. A gold task shows, after each of its answers from min_answers on, what confidence would
// have been stated and whether the answer would have been right: the same question that the stop
// rule asks of an ordinary task. Contractors err together on hard tasks, which votes alone cannot
// show.
//
// A project has one kind of work, so this is a calibration per project and kind. Folded from the
// events, so a restart comes to the same one; the fit itself is batch/calibration.h, which is
// pulled towards changing nothing, and below 20 gold tasks changes nothing. Fitted anew with each
// of the first 64 gold tasks, then after each sixteenth part more; the last 4,096 gold tasks count.
// Gold that is retracted counts no longer, at once.
// Free texts have no such confidence: theirs is a likeness, not a chance to be right. A test of a
// skill has no other tasks whose confidence could be calibrated: its gold is left out.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"
#include "scheduler/quality/aggregation.h"
#include "scheduler/quality/batch/calibration.h"
#include "scheduler/quality/score_book.h"
#include "scheduler/store/event_codec.h"
#include "scheduler/store/registry_view.h"

namespace fairlead::quality {

// What one gold task shows: a case after each answer from `least_answers` on (or the last, where
// there are fewer), in the order of `votes`. Pure.
std::vector<batch::StatedConfidence> GoldCases(const v1::AnswerSchema& schema,
                                               const std::vector<Vote>& votes,
                                               const std::optional<ModelVote>& model,
                                               const v1::Answer& gold, size_t least_answers);

// Thread-safe.
class CalibrationBook final : public store::EventSink {
 public:
  static constexpr size_t kLeastGold = 20;
  static constexpr size_t kMostGold = 4'096;

  // Both are given each event before this is.
  CalibrationBook(const store::RegistryView* registry, const ScoreBook* scores)
      : registry_(registry), scores_(scores) {}

  void Apply(const store::v1::Event& event, int64_t position) override;

  // The identity where there is not gold enough.
  batch::Calibration Of(absl::string_view project) const;
  // Gold tasks of a project that have shown what confidence is worth, at most kMostGold.
  size_t GoldOf(absl::string_view project) const;

 private:
  struct OpenGold {
    v1::Answer gold;
    std::vector<Vote> votes;  // With each contractor's quality when he answered.
    std::optional<ModelVote> model;
  };
  struct Gold {
    std::string task;
    std::vector<batch::StatedConfidence> cases;
  };
  struct Project {
    std::deque<Gold> gold;  // Oldest first.
    size_t since_fit = 0;
    batch::Calibration fitted;
  };

  void Submitted(const store::v1::Event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Answered(const store::v1::Event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Completed(const store::v1::Event& event, const OpenGold& gold)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Retracted(const store::v1::Event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static void Fit(Project& project);

  const store::RegistryView* const registry_;
  const ScoreBook* const scores_;
  mutable Mutex mu_;
  absl::flat_hash_map<std::string, OpenGold> open_ ABSL_GUARDED_BY(mu_);  // By task.
  absl::flat_hash_map<std::string, Project> projects_ ABSL_GUARDED_BY(mu_);
};

}  // namespace fairlead::quality
