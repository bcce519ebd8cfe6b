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
constexpr int kNewtonSteps = 30;

double Logit(double p) {
  const double clamped = std::clamp(p, 1e-9, 1 - 1e-9);
  return std::clamp(std::log(clamped / (1 - clamped)), -kMostLogit, kMostLogit);
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

Calibration Calibration::Fit(const std::vector<StatedConfidence>& cases) {
  Calibration fitted;
  std::vector<std::pair<double, double>> points;  // Logit, right.
  for (const StatedConfidence& c : cases) {
    if (std::isfinite(c.confidence)) points.emplace_back(Logit(c.confidence), c.right ? 1 : 0);
  }
  if (points.size() < kLeastCases) return fitted;
  for (int step = 0; step < kNewtonSteps; ++step) {
    double g_slope = (1 - fitted.slope_) / kSlopeVariance;
    double g_offset = -fitted.offset_ / kOffsetVariance;
    double h_slope = 1 / kSlopeVariance;
    double h_offset = 1 / kOffsetVariance;
    double h_both = 0;
    for (const auto& [x, right] : points) {
      const double p = Sigmoid(fitted.slope_ * x + fitted.offset_);
      const double weight = p * (1 - p);
      g_slope += (right - p) * x;
      g_offset += right - p;
      h_slope += weight * x * x;
      h_offset += weight;
      h_both += weight * x;
    }
    const double determinant = h_slope * h_offset - h_both * h_both;
    const double d_slope = (h_offset * g_slope - h_both * g_offset) / determinant;
    const double d_offset = (h_slope * g_offset - h_both * g_slope) / determinant;
    fitted.slope_ = std::clamp(fitted.slope_ + std::clamp(d_slope, -1.0, 1.0), 0.0, 10.0);
    fitted.offset_ = std::clamp(fitted.offset_ + std::clamp(d_offset, -2.0, 2.0), -10.0, 10.0);
    if (std::abs(d_slope) + std::abs(d_offset) < 1e-9) break;
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
