// Internal to matching: what of the contractors one kind of task looks at. Not thread-safe; lives
// for one Match().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scheduler/dispatch/matching.h"
#include "scheduler/dispatch/policy.h"
#include "scheduler/quality/score.h"

namespace fairlead::dispatch {

// One contractor as seen by one bucket; what does not change during Match().
struct Standing {
  int contractor = 0;              // Index into the snapshot.
  quality::ContractorScore score;  // Decayed to now.
  double quality_mean = 0;
  double quality_sd = 0;
  double expected_seconds = 1;
  double responsiveness = 1;
  double newcomer = 0;
  double value =
      0;  // Gain of the mean quality over the root of the seconds: the order of the best.
};

// A list walked from any start that forgets those who have no credit left, in nearly O(1) a step.
class CreditList {
 public:
  explicit CreditList(std::vector<int> members);
  size_t size() const { return members_.size(); }
  // The first slot from `slot` on that is not retired; size() where there is none.
  size_t Next(size_t slot);
  void Retire(size_t slot) { next_[slot] = slot + 1; }
  int At(size_t slot) const { return members_[slot]; }

 private:
  std::vector<int> members_;  // Indices into the bucket's standings.
  std::vector<size_t> next_;  // Union-find towards the right.
};

// The contractors with some skills, by their scores at one kind of work.
class Bucket {
 public:
  Bucket(const Snapshot& snapshot, const Policy& policy, v1::TaskKind kind,
         const std::vector<std::string>& required_skills);

  const std::vector<Standing>& standings() const { return standings_; }
  CreditList& by_value() { return by_value_; }
  CreditList& by_waiting() { return by_waiting_; }
  CreditList& newcomers() { return newcomers_; }

 private:
  std::vector<Standing> standings_;
  CreditList by_value_;
  CreditList by_waiting_;
  CreditList newcomers_;
};

}  // namespace fairlead::dispatch
