#include "scheduler/quality/batch/rank_pairs.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace fairlead::quality::batch {
namespace {

constexpr double kAttentive = 9;  // Answers that follow the items, and that do not, beforehand.
constexpr double kInattentive = 1;
constexpr double kEachSide = 2;
constexpr int kRounds = 200;
constexpr double kTolerance = 1e-6;

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// The share of an answer that followed its items rather than its author's habit.
double FollowedItems(const Preference& p, const PairScores& fit) {
  const double items = Sigmoid(fit.score[p.left] - fit.score[p.right]);
  const double g = fit.attention[p.contractor];
  const double habit = fit.left_bias[p.contractor];
  const double left = g * items / (g * items + (1 - g) * habit);
  const double right = g * (1 - items) / (g * (1 - items) + (1 - g) * (1 - habit));
  return p.left_preferred * left + (1 - p.left_preferred) * right;
}

// Shares of each answer and the contractors' parameters that follow from them.
void UpdateContractors(absl::Span<const Preference> preferences, std::vector<double>& share,
                       PairScores& fit) {
  const size_t contractors = fit.attention.size();
  std::vector<double> followed(contractors, kAttentive);
  std::vector<double> answers(contractors, kAttentive + kInattentive);
  std::vector<double> left(contractors, kEachSide);
  std::vector<double> habit(contractors, 2 * kEachSide);
  for (size_t i = 0; i < preferences.size(); ++i) {
    const Preference& p = preferences[i];
    share[i] = FollowedItems(p, fit);
    followed[p.contractor] += share[i];
    answers[p.contractor] += 1;
    left[p.contractor] += (1 - share[i]) * p.left_preferred;
    habit[p.contractor] += 1 - share[i];
  }
  for (size_t w = 0; w < contractors; ++w) {
    fit.attention[w] = followed[w] / answers[w];
    fit.left_bias[w] = left[w] / habit[w];
  }
}

// One Newton step of each score with the others as they were, half of it so that two items that
// are compared with each other only do not overshoot. Returns the largest move.
double UpdateScores(absl::Span<const Preference> preferences, const std::vector<double>& share,
                    PairScores& fit) {
  std::vector<double> gradient(fit.score.size());
  std::vector<double> curvature(fit.score.size(), 1);  // The prior's.
  for (size_t k = 0; k < gradient.size(); ++k) gradient[k] = -fit.score[k];
  for (size_t i = 0; i < preferences.size(); ++i) {
    const Preference& p = preferences[i];
    const double expected = Sigmoid(fit.score[p.left] - fit.score[p.right]);
    const double surprise = share[i] * (p.left_preferred - expected);
    const double weight = share[i] * expected * (1 - expected);
    gradient[p.left] += surprise;
    gradient[p.right] -= surprise;
    curvature[p.left] += weight;
    curvature[p.right] += weight;
  }
  double moved = 0;
  for (size_t k = 0; k < gradient.size(); ++k) {
    const double step = 0.5 * gradient[k] / curvature[k];
    fit.score[k] += step;
    moved = std::max(moved, std::abs(step));
  }
  return moved;
}

absl::Status Check(int items, int contractors, absl::Span<const Preference> preferences) {
  if (items < 0 || contractors < 0) return absl::InvalidArgumentError("a negative size");
  for (size_t i = 0; i < preferences.size(); ++i) {
    const Preference& p = preferences[i];
    const auto outside = [](int value, int size) { return value < 0 || value >= size; };
    const char* problem = outside(p.contractor, contractors) ? "contractor: out of range"
                          : outside(p.left, items)           ? "left: out of range"
                          : outside(p.right, items)          ? "right: out of range"
                          : p.left == p.right                ? "right: the same item as left"
                          : !(p.left_preferred >= 0 && p.left_preferred <= 1)
                              ? "left_preferred: not within [0, 1]"
                              : nullptr;
    if (problem == nullptr) continue;
    return absl::InvalidArgumentError(absl::StrCat("preferences[", i, "].", problem));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PairScores> RankPairs(int items, int contractors,
                                     absl::Span<const Preference> preferences) {
  if (absl::Status status = Check(items, contractors, preferences); !status.ok()) return status;
  PairScores fit;
  fit.score.assign(items, 0);
  fit.attention.assign(contractors, kAttentive / (kAttentive + kInattentive));
  fit.left_bias.assign(contractors, 0.5);
  std::vector<double> share(preferences.size());
  for (int round = 0; round < kRounds; ++round) {
    UpdateContractors(preferences, share, fit);
    if (UpdateScores(preferences, share, fit) < kTolerance) break;
  }
  return fit;
}

}  // namespace fairlead::quality::batch
