// From a model's confidence to the share of labels that are right. Model confidence is not
// calibrated: votes err together on hard tasks, so a nominal 0.95 was really 0.67 to 0.96 on public
// crowd sets. Pure; immutable once fitted, so thread-safe; equal inputs give equal bits.
#pragma once

#include <vector>

namespace fairlead::quality::batch {

// A label whose truth became known after its confidence was stated.
struct StatedConfidence {
  double confidence;
  bool right;
};

// Platt's (1999) scaling: σ(slope · logit(confidence) + offset), monotone. The identity by default.
class Calibration {
 public:
  static constexpr int kLeastCases = 20;  // Below, Fit returns the identity.

  Calibration() = default;
  // Penalised maximum likelihood by Newton's method: slope ~ N(1, 1), offset ~ N(0, 2), slope at
  // least 0. Cases whose confidence is not a number are left out. O(cases).
  static Calibration Fit(const std::vector<StatedConfidence>& cases);
  // The calibration that tempers log-odds by `slope` alone.
  static Calibration Tempered(double slope);

  // In [0, 1]; 0 for what is not a number.
  double operator()(double confidence) const;

  bool identity() const { return slope_ == 1 && offset_ == 0; }
  double slope() const { return slope_; }
  double offset() const { return offset_; }

 private:
  double slope_ = 1, offset_ = 0;
};

}  // namespace fairlead::quality::batch
