// Answers that people really gave, as numbers: what a replay draws from.
#pragma once

#include <cstdint>
#include <vector>

namespace fairlead::replay {

struct GivenAnswer {
  int32_t task, contractor, cls;
  double seconds;  // It took; not finite where unknown.
};

// At most one answer of a contractor to a task; every contractor has at least one.
struct ReplaySet {
  int tasks = 0, contractors = 0, classes = 0;
  std::vector<GivenAnswer> answers;
  std::vector<int32_t> truth;             // [task]: a class, or kNoTruth.
  std::vector<uint64_t> contractor_hash;  // Of the name.
};
inline constexpr int32_t kNoTruth = -1;

}  // namespace fairlead::replay
