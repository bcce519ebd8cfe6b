// Internal to the choice policies: seeded ties, and the rules that baselines share. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "scheduler/dispatch/choice/choice_policy.h"
#include "scheduler/quality/beta.h"

namespace fairlead::dispatch {

// The member with the largest key; equal keys are decided by a seeded draw over `tie`.
template <typename Members, typename Key, typename Tie>
int32_t SeededBest(const Members& members, uint64_t seed, const Key& key, const Tie& tie) {
  int32_t best = -1;
  double best_key = 0;
  uint64_t best_draw = 0;
  for (const int32_t member : members) {
    const double value = key(member);
    if (best >= 0 && value < best_key) continue;
    const uint64_t draw = quality::MixSeeds(seed, tie(member));
    if (best >= 0 && value == best_key && draw <= best_draw) continue;
    best = member;
    best_key = value;
    best_draw = draw;
  }
  return best;
}

// Of those online, the one with the largest key.
template <typename Key>
int32_t BestContractor(const Pool& pool, absl::Span<const int32_t> online, uint64_t seed,
                       const Key& key) {
  return SeededBest(
      online, seed, [&](int32_t c) { return key(pool.contractors[c]); },
      [&](int32_t c) { return pool.contractors[c].hash; });
}

// Any of those online.
inline int32_t AnyContractor(const Pool& pool, absl::Span<const int32_t> online, uint64_t seed) {
  return BestContractor(pool, online, seed, [](const PoolContractor&) { return 0.0; });
}

// Of the contractor's open tasks, the one with the largest key.
template <typename Key>
int32_t BestTask(const Pool& pool, int32_t contractor, uint64_t seed, const Key& key) {
  return SeededBest(pool.contractors[contractor].open, ~seed, key,
                    [](int32_t task) { return static_cast<uint64_t>(task); });
}

// Breadth first: the task with the fewest answers.
inline int32_t LeastAnswered(const Pool& pool, int32_t contractor, uint64_t seed) {
  return BestTask(pool, contractor, seed, [&](int32_t t) { return -pool.answers[t]; });
}

std::unique_ptr<ChoicePolicy> MakeDefaultPolicy(const Policy& formula);
std::unique_ptr<ChoicePolicy> MakeRandomPolicy();
std::unique_ptr<ChoicePolicy> MakeFifoPolicy();
std::unique_ptr<ChoicePolicy> MakeRoundRobinPolicy();
std::unique_ptr<ChoicePolicy> MakeLeastLoadedPolicy();
std::unique_ptr<ChoicePolicy> MakeBestScorePolicy();
std::unique_ptr<ChoicePolicy> MakeFastestPolicy();
std::unique_ptr<ChoicePolicy> MakeQascaPolicy();

}  // namespace fairlead::dispatch
