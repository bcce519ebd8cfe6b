#include "trainer/reward/losses.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace fairlead::trainer {
namespace {

// n choose k for n ≤ 62.
double Choose(int n, int k) {
  double result = 1;
  for (int i = 1; i <= k; ++i) result = result * (n - k + i) / i;
  return result;
}

}  // namespace

double Sigmoid(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

double LogisticLoss(double margin, double target) {
  return std::log1p(std::exp(-std::abs(margin))) + std::max(margin, 0.0) - target * margin;
}

double SmoothTarget(double target, double smoothing) {
  return target * (1 - smoothing) + (1 - target) * smoothing;
}

double PlackettLuceLoss(absl::Span<const double> scores,
                        const std::vector<std::vector<int>>& levels, double weight,
                        absl::Span<double> gradient) {
  double top = -INFINITY;
  int count = 0;
  for (const auto& level : levels) {
    for (const int index : level) {
      top = std::max(top, scores[index]);
      ++count;
    }
  }
  if (count < 2) return 0;
  double loss = 0;
  double below = 0;  // Σ e^{s − top} of the levels under the present one.
  std::vector<int> lower;
  const double scale = 1.0 / (count - 1);
  for (auto level = levels.rbegin(); level != levels.rend(); ++level) {
    const int size = static_cast<int>(level->size());
    std::vector<double> terms(level->size());
    for (int i = 0; i < size; ++i) terms[i] = std::exp(scores[(*level)[i]] - top);
    double of_lower = 0;  // d loss / d (below).
    // When r of the level are still to be chosen, they are any r-subset, equally likely.
    for (uint32_t subset = 1; subset < (uint32_t{1} << size); ++subset) {
      double sum = below;
      for (int i = 0; i < size; ++i) sum += (subset >> i & 1) != 0 ? terms[i] : 0;
      const double share = scale / Choose(size, std::popcount(subset));
      // All terms may underflow beside `top`; their own largest is then lost, not the loss.
      const double safe_sum = std::max(sum, 1e-300);
      loss += share * (std::log(safe_sum) + top);
      for (int i = 0; i < size; ++i) {
        if ((subset >> i & 1) != 0) {
          gradient[(*level)[i]] += weight * share * terms[i] / safe_sum;
        }
      }
      of_lower += share / safe_sum;
    }
    for (const int index : lower) {
      gradient[index] += weight * of_lower * std::exp(scores[index] - top);
    }
    for (int i = 0; i < size; ++i) {
      loss -= scale * scores[(*level)[i]];
      gradient[(*level)[i]] -= weight * scale;
      below += terms[i];
      lower.push_back((*level)[i]);
    }
  }
  return loss;
}

}  // namespace fairlead::trainer
