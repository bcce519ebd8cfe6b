// The learning rate as a pure function of the step: one cycle (Smith and Topin 2019), both slopes a
// half cosine. Torch-free.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace fairlead::trainer {

struct OneCycle {
  double peak = 3e-3;
  int64_t total_steps = 1;
  double warmup = 0.15;   // Share of the steps that rise.
  double start = 0.1;     // Times the peak.
  double finish = 0.002;  // Times the peak.
};

// For step 0 … total_steps − 1.
inline double LearningRateAt(const OneCycle& cycle, int64_t step) {
  const double rising = std::max(1.0, cycle.warmup * static_cast<double>(cycle.total_steps));
  const double at = static_cast<double>(step);
  const auto blend = [](double from, double to, double share) {
    return to + (from - to) * 0.5 * (1 + std::cos(3.14159265358979323846 * share));
  };
  if (at < rising) return cycle.peak * blend(cycle.start, 1, at / rising);
  const double falling = std::max(1.0, static_cast<double>(cycle.total_steps) - rising);
  return cycle.peak * blend(1, cycle.finish, std::min(1.0, (at - rising) / falling));
}

// How much of the averaged weights stays in one step: short at first, and never a longer memory
// than a twentieth of the run, so that short runs are not held back by their first weights.
inline double EmaDecayAt(int64_t step, int64_t total_steps) {
  const double at = static_cast<double>(step);
  const double memory = std::max(2.0, 0.05 * static_cast<double>(total_steps));
  return std::min({0.9999, (1 + at) / (10 + at), 1 - 1 / memory});
}

}  // namespace fairlead::trainer
