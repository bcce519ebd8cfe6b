// Internal to matching: one round's places, how a candidate is weighed for a place, and how a
// choice is explained. Not thread-safe; lives for one Match().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "scheduler/dispatch/explanation.h"
#include "scheduler/dispatch/free_index.h"
#include "scheduler/dispatch/matching.h"

namespace fairlead::dispatch {

enum class Floor { kNone, kNewcomer, kWaiting };

// One answer that is to be asked for.
struct Place {
  const ReadyTask* task = nullptr;
  size_t task_number = 0;
  FreeIndex::Bucket* bucket = nullptr;
  // Where quality or a skill has to be proven: the bucket without that.
  FreeIndex::Bucket* ordinary = nullptr;
  uint64_t seed = 0;  // Of its floor and its ties; stored with the decision.
  double urgency = 1;
  Floor floor = Floor::kNone;
};

// A contractor weighed for a place.
struct Ranked {
  double index = 0;
  Features features;
  Slot slot = kNoSlot;
};

class MatchRound {
 public:
  MatchRound(absl::Span<const ReadyTask> tasks, const Policy& policy, uint64_t seed, int64_t now_ms,
             FreeIndex& index);

  const std::vector<Place>& places() const { return places_; }
  FreeIndex& index() { return index_; }
  int64_t now_ms() const { return now_ms_; }

  // Whether he had the task before this round.
  bool Had(const Place& place, Slot slot) const;
  // Whether a member of the place's bucket works for what the place pays.
  bool Takes(const Place& place, Slot slot) const {
    return index_.TakesFor(slot, place.task->pay_micros);
  }
  // Those whom the round has given the task already.
  const std::vector<Slot>& Given(const Place& place) const { return given_[place.task_number]; }
  double FloorClaim(const Place& place, Slot slot) const;
  // By the formula.
  Ranked Weigh(const Place& place, Slot slot);
  // The index of a task about which nothing is known, without urgency and floor; and by what the
  // place's own differs from it: as Weigh() but for rounding and the weight of a floor's claim.
  double BaseIndex(FreeIndex::Bucket& bucket, Slot slot);
  double Factor(const Place& place, Slot slot);
  // Better first. Equal indices: the larger share due, the longer wait, then a seeded draw; never
  // id or arrival.
  bool Before(const Place& place, const Ranked& a, const Ranked& b) const;
  // Sorts `ranked` and writes the decision for the first of it. `refused` are those looked at in
  // vain, `considered` how many were looked at in all; where quality or a skill has to be proven
  // those come to it who would be first without that.
  Choice Decide(const Place& place, std::vector<Ranked>& ranked,
                const std::vector<Candidate>& refused, size_t considered);
  // The place is his: what he has, and what all have, changes.
  void Charge(const Place& place, Slot slot);
  Candidate Refused(Slot slot, const char* reason) const;
  Candidate Shown(const Place& place, const Ranked& ranked) const;

 private:
  std::vector<Candidate> Unproven(const Place& place);

  FreeIndex& index_;
  const Policy& policy_;
  const int64_t now_ms_;
  Totals totals_;  // Of those who were free when the round began, with what the round gives them.
  std::vector<Place> places_;
  std::vector<std::vector<Slot>> given_;  // By number of the task.
};

}  // namespace fairlead::dispatch
