#include "scheduler/quality/batch/calibration.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace fairlead::quality::batch {
namespace {

// Beyond 0.9999 a model's confidence says no more; without this a few certain errors rule the fit.
constexpr double kMostLogit = 9.2;
constexpr double kSlopeVariance = 1;
constexpr double kOffsetVariance = 4;
constexpr int kNewtonSteps = 50;
constexpr int kHalvings = 30;

double Logit(double p) {
  const double clamped = std::clamp(p, 1e-9, 1 - 1e-9);
  return std::clamp(std::log(clamped / (1 - clamped)), -kMostLogit, kMostLogit);
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

using Points = std::vector<std::pair<double, double>>;  // Logit, right.

// The penalised negative log-likelihood, with its gradient and Hessian.
struct Loss {
  double value = 0;
  double slope = 0, offset = 0;  // Gradient.
  double slopes = 0, offsets = 0, both = 0;

  Loss(const Points& points, double at_slope, double at_offset) {
    slope = (at_slope - 1) / kSlopeVariance;
    offset = at_offset / kOffsetVariance;
    slopes = 1 / kSlopeVariance;
    offsets = 1 / kOffsetVariance;
    value = 0.5 * ((at_slope - 1) * slope + at_offset * offset);
    for (const auto& [x, right] : points) {
      const double logit = at_slope * x + at_offset;
      const double p = Sigmoid(logit);
      const double against = right > 0.5 ? -logit : logit;
      value += std::max(against, 0.0) + std::log1p(std::exp(-std::abs(against)));
      slope += (p - right) * x;
      offset += p - right;
      slopes += p * (1 - p) * x * x;
      offsets += p * (1 - p);
      both += p * (1 - p) * x;
    }
  }
  double determinant() const { return slopes * offsets - both * both; }
};

}  // namespace

Calibration Calibration::Fit(const std::vector<StatedConfidence>& cases) {
  Calibration fitted;
  Points points;
  for (const StatedConfidence& c : cases) {
    if (std::isfinite(c.confidence)) points.emplace_back(Logit(c.confidence), c.right ? 1 : 0);
  }
  if (points.size() < kLeastCases) return fitted;
  Loss loss(points, fitted.slope_, fitted.offset_);
  for (int step = 0; step < kNewtonSteps; ++step) {
    const double d_slope =
        (loss.offsets * loss.slope - loss.both * loss.offset) / loss.determinant();
    const double d_offset =
        (loss.slopes * loss.offset - loss.both * loss.slope) / loss.determinant();
    // Confidences lie close together, so a whole step overshoots: halved until it helps.
    double share = 1;
    for (int halving = 0; halving < kHalvings; ++halving, share /= 2) {
      const double slope = std::max(0.0, fitted.slope_ - share * d_slope);
      const double offset = fitted.offset_ - share * d_offset;
      const Loss next(points, slope, offset);
      if (!(next.value < loss.value)) continue;
      fitted.slope_ = slope;
      fitted.offset_ = offset;
      loss = next;
      break;
    }
    if (share * (std::abs(d_slope) + std::abs(d_offset)) < 1e-9) break;
  }
  return fitted;
}

Calibration Calibration::Tempered(double slope) {
  Calibration tempered;
  tempered.slope_ = slope;
  return tempered;
}

double Calibration::operator()(double confidence) const {
  if (std::isnan(confidence)) return 0;
  if (identity()) return std::clamp(confidence, 0.0, 1.0);
  return Sigmoid(slope_ * Logit(confidence) + offset_);
}

}  // namespace fairlead::quality::batch
