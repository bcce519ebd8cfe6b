// How good scores are: accuracy, likelihood, calibration. Pure; thread-safe; torch-free.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "trainer/train.h"

namespace fairlead::trainer {

// A judged pair, or a single response against 0.
struct ScoredPair {
  double margin = 0;  // score(A) − score(B), or the score.
  double target = 1;  // P(A better) as judged, or P(safe).
  double longer = 0;  // Words of A − words of B; 0 for single responses.
};

// Every pair that the item's judgements decide or tie, given the scores of its responses.
std::vector<ScoredPair> PairsOf(const PreferenceItem& item, absl::Span<const double> scores);

// O(n log n). Of no pairs: zeros.
RewardMetrics Measure(absl::Span<const ScoredPair> pairs, bool single_responses);

// What share of the pairs the sign of `value` decides rightly; 0 counts half. Ties (target 0.5)
// are left out: their entry is 0.5 in `right_of` and they count nothing in the mean.
double RightOf(double value, double target);

struct Slope {
  double factor = 1;  // On the margin.
  double error = 0;   // Standard error, from the curvature of the likelihood.
};

// The factor within 0.02–50 under which σ(factor · margin) has the least cross-entropy against the
// targets. Below 20 pairs, or when no margin differs from 0: 1.
Slope FitSlope(absl::Span<const ScoredPair> pairs);

// Mean of `differences` with its 95 % interval by the percentile bootstrap over blocks of entries
// that belong together (Efron 1979); `block` names the block of each entry, ascending.
struct Interval {
  double mean = 0, low = 0, high = 0;
};
Interval BootstrapMean(absl::Span<const double> differences, absl::Span<const uint32_t> block,
                       uint64_t seed, int draws = 2000);

}  // namespace fairlead::trainer
