// The one-coin model (quality/one_coin.h) fitted to a whole set. Robust by three choices, without
// which it runs away to one class at few answers a task: no class prior is learned, every
// contractor keeps the same informative prior, and a task with a single answer and no gold is no
// evidence about its author. Memory follows the answers, not tasks × classes. Pure; thread-safe;
// equal inputs give equal bits.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "scheduler/quality/batch/label_matrix.h"

namespace fairlead::quality::batch {

// What a contractor is held for before any evidence: right 7 times in 10, with the weight of eight
// answers.
inline constexpr double kCoinMean = 0.7;
inline constexpr double kCoinStrength = 8;

struct OneCoinFit {
  std::vector<double> right;    // [contractor]: P(right), clamped as votes are.
  std::vector<double> support;  // [vote]: P(the class that this vote names is the truth).
  std::vector<double> unvoted;  // [task]: P(truth) of each single class that nobody named.
  int sweeps = 0;
};

// `sweeps` 0: everybody counts the same, majority. 1: weight by agreement with the majority, once.
// More: expectation maximisation, until no support moves by more than 1e-5. `gold` has one class or
// kUnknown a task and is pinned. O(sweeps × labels).
OneCoinFit FitOneCoin(const LabelMatrix& labels, absl::Span<const int32_t> gold, int sweeps);

}  // namespace fairlead::quality::batch
