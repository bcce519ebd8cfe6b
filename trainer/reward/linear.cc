#include "trainer/reward/linear.h"

#include <cmath>
#include <utility>

#include "common/base/philox.h"

namespace fairlead::trainer {
namespace {

constexpr uint32_t kOrderPurpose = 0x12EA;
constexpr double kStep = 0.5;

}  // namespace

SparseVector Subtract(const SparseVector& a, const SparseVector& b) {
  SparseVector result;
  size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    if (j == b.size() || (i < a.size() && a[i].first < b[j].first)) {
      result.push_back(a[i++]);
    } else if (i == a.size() || b[j].first < a[i].first) {
      result.emplace_back(b[j].first, -b[j].second);
      ++j;
    } else {
      const float value = a[i].second - b[j].second;
      if (value != 0) result.emplace_back(a[i].first, value);
      ++i;
      ++j;
    }
  }
  return result;
}

double Dot(const std::vector<float>& weights, const SparseVector& vector) {
  double sum = 0;
  for (const auto& [bucket, value] : vector) sum += static_cast<double>(weights[bucket]) * value;
  return sum;
}

double Sigmoid(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

double LogisticLoss(double margin, double target) {
  // −t·log σ(m) − (1 − t)·log σ(−m) = log(1 + e^−|m|) + max(m, 0) − t·m.
  return std::log1p(std::exp(-std::abs(margin))) + std::max(margin, 0.0) - target * margin;
}

std::vector<float> FitLinear(const std::vector<Comparison>& comparisons,
                             const LinearFitOptions& options) {
  std::vector<float> weights(size_t{1} << options.bits, 0.0f);
  std::vector<float> squares(weights.size(), 1e-2f);
  std::vector<uint32_t> order(comparisons.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<uint32_t>(i);
  for (int epoch = 0; epoch < options.epochs; ++epoch) {
    PhiloxStream stream(options.seed, static_cast<uint32_t>(epoch), 0, kOrderPurpose);
    for (size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[stream.Below(static_cast<uint32_t>(i))]);
    }
    for (const uint32_t index : order) {
      const Comparison& pair = comparisons[index];
      const double slope = pair.weight * (Sigmoid(Dot(weights, pair.difference)) - pair.target);
      for (const auto& [bucket, value] : pair.difference) {
        const double gradient = slope * value + options.l2 * weights[bucket];
        squares[bucket] += static_cast<float>(gradient * gradient);
        weights[bucket] -= static_cast<float>(kStep * gradient / std::sqrt(squares[bucket]));
      }
    }
  }
  return weights;
}

double FitMarginTemperature(const std::vector<float>& weights,
                            const std::vector<Comparison>& comparisons) {
  if (comparisons.size() < 20) return 1.0;
  std::vector<double> margins;
  for (const Comparison& pair : comparisons) margins.push_back(Dot(weights, pair.difference));
  // The cost is convex in the inverse temperature: bisect its slope.
  double low = 1.0 / 20, high = 20;
  for (int i = 0; i < 60; ++i) {
    const double inverse = (low + high) / 2;
    double slope = 0;
    for (size_t j = 0; j < margins.size(); ++j) {
      slope += comparisons[j].weight * margins[j] *
               (Sigmoid(margins[j] * inverse) - comparisons[j].target);
    }
    (slope > 0 ? high : low) = inverse;
  }
  return 2 / (low + high);
}

}  // namespace fairlead::trainer
