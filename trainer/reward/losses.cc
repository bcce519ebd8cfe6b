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

double Correlation(absl::Span<const double> values, absl::Span<const double> others, double weight,
                   absl::Span<double> gradient) {
  const size_t count = values.size();
  double mean = 0, other_mean = 0;
  for (size_t i = 0; i < count; ++i) {
    mean += values[i] / static_cast<double>(count);
    other_mean += others[i] / static_cast<double>(count);
  }
  double square = 0, other_square = 0, product = 0;
  for (size_t i = 0; i < count; ++i) {
    square += (values[i] - mean) * (values[i] - mean);
    other_square += (others[i] - other_mean) * (others[i] - other_mean);
    product += (values[i] - mean) * (others[i] - other_mean);
  }
  const double size = std::sqrt(square * other_square);
  if (!(size > 1e-12)) return 0;
  const double correlation = product / size;
  for (size_t i = 0; i < count; ++i) {
    gradient[i] +=
        weight * ((others[i] - other_mean) / size - correlation * (values[i] - mean) / square);
  }
  return correlation;
}

double LengthLoss(absl::Span<const double> quality, absl::Span<const double> nuisance,
                  absl::Span<const double> length, double weight,
                  absl::Span<double> quality_gradient, absl::Span<double> nuisance_gradient) {
  std::vector<double> slopes(quality.size(), 0.0);
  const double of_quality = Correlation(quality, length, weight, absl::MakeSpan(slopes));
  const double sign = of_quality < 0 ? -1 : 1;
  for (size_t i = 0; i < slopes.size(); ++i) quality_gradient[i] += sign * slopes[i];
  return sign * of_quality - Correlation(nuisance, length, -weight, nuisance_gradient);
}

}  // namespace fairlead::trainer
