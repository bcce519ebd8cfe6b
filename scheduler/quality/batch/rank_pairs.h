// Scores of items out of a whole set of pairwise preferences, by a noisy Bradley–Terry model with a
// side bias of each contractor (as in Chen et al. 2013, Crowd-BT, with the side term of crowd-kit):
//   P(left is preferred | w) = g_w σ(s_left − s_right) + (1 − g_w) σ(b_w).
// Pure; thread-safe; equal inputs give equal bits.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace fairlead::quality::batch {

// One answer. Contractors and items are numbered from 0.
struct Preference {
  int32_t contractor, left, right;
  double
      left_preferred;  // 1, or 0 for the right one, or 0.5 for a tie; anything between counts too.
};

struct PairScores {
  std::vector<double> score;  // [item], mean about 0; natural log-odds. 0 for one never compared.
  std::vector<double> attention;  // [contractor]: g, the share of answers that follow the items.
  std::vector<double> left_bias;  // [contractor]: σ(b), how often the rest goes to the left.
};

// Maximum a posteriori by expectation maximisation: s ~ N(0, 1), g ~ Beta(9, 1), σ(b) ~ Beta(2, 2);
// until no score moves by more than 1e-6, 200 rounds at most. INVALID_ARGUMENT naming the answer
// whose numbers are out of range, whose items are one, or whose preference is not within [0, 1].
// O(rounds × answers).
absl::StatusOr<PairScores> RankPairs(int items, int contractors,
                                     absl::Span<const Preference> preferences);

}  // namespace fairlead::quality::batch
