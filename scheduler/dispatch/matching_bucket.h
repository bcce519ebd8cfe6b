// Internal to matching: what of the contractors one kind of task looks at. Not thread-safe; lives
// for one Match().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scheduler/dispatch/matching.h"
#include "scheduler/dispatch/policy.h"
#include "scheduler/dispatch/standing.h"

namespace fairlead::dispatch {

// One contractor as seen by one bucket; what does not change during Match().
struct Member {
  int contractor = 0;  // Index into the snapshot.
  Standing standing;
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
  std::vector<int> members_;  // Indices into the bucket's members.
  std::vector<size_t> next_;  // Union-find towards the right.
};

// The contractors with some skills, by their scores at one kind of work.
class Bucket {
 public:
  Bucket(const Snapshot& snapshot, const Policy& policy, v1::TaskKind kind, double alternatives,
         const std::vector<std::string>& required_skills);

  const std::vector<Member>& members() const { return members_; }
  CreditList& by_value() { return by_value_; }
  CreditList& by_waiting() { return by_waiting_; }
  CreditList& newcomers() { return newcomers_; }

 private:
  std::vector<Member> members_;
  CreditList by_value_;
  CreditList by_waiting_;
  CreditList newcomers_;
};

}  // namespace fairlead::dispatch
