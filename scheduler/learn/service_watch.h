// What the champions turn out to be worth in service: their prelabels against the labels that
// people decided afterwards (the champion's prequential record). Fed by all events, those of the
// log at start included, so that a new process counts the same; the model's record keeps what it
// shows.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"
#include "fairlead/store/v1/records.pb.h"
#include "scheduler/learn/adwin.h"

namespace fairlead::learn {

// All outcomes of a project by version, full name.
struct Outcomes {
  struct Count {
    int64_t served = 0, right = 0;
    store::v1::ShadowRecord shadow;
    store::v1::AnchoringRecord anchoring;
  };
  std::map<std::string, Count> versions;
  int64_t drift_ms = 0;  // When the newest version's error was last seen to have risen (Adwin).
  int64_t total() const;
};

// Whether the champion is watched: it has served fewer than 300 labels, and the one before it is
// known. While it is, that one reads the same tasks in the shadow.
bool IsWatched(const store::v1::ModelRecord& model);

// Thread-safe. Memory: one entry a prelabelled task that is open.
class ServiceWatch {
 public:
  // Looks at prelabels, answers, labels and ends. Of a task the label is held against the prelabel,
  // when people had a part in it; and the first answer against both models' readings: the label
  // leans towards the prelabel that helped to decide it, the first answer does not.
  void Apply(const store::v1::Event& event);
  Outcomes Of(absl::string_view project) const;

 private:
  struct Project {
    Outcomes outcomes;
    std::string version;  // The detector's.
    Adwin error;
  };
  struct Open {
    store::v1::PrelabelRecord prelabel;
    bool answered = false;
  };
  void ApplyAnswer(const store::v1::Event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  absl::flat_hash_map<std::string, Open> open_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, Project> projects_ ABSL_GUARDED_BY(mu_);
};

// Writes the counts to the versions they are of; never fewer than stand there. Returns whether any
// has grown. Pure.
bool NoteOutcomes(const Outcomes& outcomes, store::v1::ModelRecord& model);

// Takes a champion back that serves worse than the one before it, while it is watched. Where that
// one read in the shadow: people's first answers take its side more often than the champion's where
// the two differ (exact sign test, one-sided at 0.1 %). Where it did not: the shares of right
// labels that each served differ (z-test of two proportions, one-sided at 0.1 %, each side at least
// 50 labels). Writes the reason with its numbers to the version's gate decision and returns whether
// it was taken back. Pure.
bool RollBackIfWorse(store::v1::ModelRecord& model);

}  // namespace fairlead::learn
