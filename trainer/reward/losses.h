// Losses of judgements as functions of scores, each with its gradient. Pure; thread-safe.
#pragma once

#include <vector>

#include "absl/types/span.h"

namespace fairlead::trainer {

// 1 / (1 + e^−x), without overflow for any x.
double Sigmoid(double x);

// Cross-entropy of P(yes) = σ(margin) against `target`:
//   −t·log σ(m) − (1 − t)·log σ(−m) = log(1 + e^−|m|) + max(m, 0) − t·m.
// Its derivative is σ(m) − t. With m = score(A) − score(B) and t the share of votes for A this is
// Bradley–Terry (Bradley and Terry 1952) on soft votes; a tie is t = 0.5.
double LogisticLoss(double margin, double target);

// The target when a share `smoothing` of the judgements would be turned round if asked again.
double SmoothTarget(double target, double smoothing);

// Plackett–Luce (Luce 1959, Plackett 1975) on a weak order: levels of indices into `scores`, best
// first, each index at most once. The loss is the expectation over the ways to break the ties, all
// equally likely, of −Σ_k [s_(k) − log Σ_{j ≥ k} e^{s_(j)}], divided by the number of choices that
// are open at all (K − 1): a strict order of two costs what Bradley–Terry does, a tie of two what
// it costs at 0.5. Adds `weight` · d loss / d score to `gradient`. O(Σ 2^|level| · |level|).
double PlackettLuceLoss(absl::Span<const double> scores,
                        const std::vector<std::vector<int>>& levels, double weight,
                        absl::Span<double> gradient);

// Pearson's correlation of `values` with `others`, −1 to 1; 0 when either hardly varies. Adds
// `weight` times its slope by each of the values to `gradient`. O(n).
double Correlation(absl::Span<const double> values, absl::Span<const double> others, double weight,
                   absl::Span<double> gradient);

// What makes one of two scores stand for length and the other not (ODIN: Chen et al. 2024, eq. 5):
//   |ρ(quality, length)| − ρ(nuisance, length).
// Adds `weight` times the slopes.
double LengthLoss(absl::Span<const double> quality, absl::Span<const double> nuisance,
                  absl::Span<const double> length, double weight,
                  absl::Span<double> quality_gradient, absl::Span<double> nuisance_gradient);

}  // namespace fairlead::trainer
