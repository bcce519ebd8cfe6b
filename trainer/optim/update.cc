#include "trainer/optim/update.h"

#include <cmath>

namespace fairlead::trainer {

double NormOf(const float* values, int64_t count) {
  // Eight sums in a fixed order: fast and the same everywhere.
  float sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int lane = 0; lane < 8; ++lane) sums[lane] += values[i + lane] * values[i + lane];
  }
  for (; i < count; ++i) sums[0] += values[i] * values[i];
  double total = 0;
  for (const float sum : sums) total += sum;
  return std::sqrt(total);
}

void UpdateStretch(const UpdateRates& rates, float factor, int64_t count, float* __restrict weights,
                   float* __restrict gradients, float* __restrict m, float* __restrict v,
                   float* __restrict averages) {
  const float keep1 = rates.beta1, keep2 = rates.beta2;
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = gradients[i] * factor;
    gradients[i] = 0;
    m[i] = keep1 * m[i] + (1 - keep1) * gradient;
    v[i] = keep2 * v[i] + (1 - keep2) * gradient * gradient;
    const float divisor = std::sqrt(v[i]) * rates.inverse_root + rates.epsilon;
    const float next = weights[i] - rates.decay * weights[i] - rates.step_size * m[i] / divisor;
    weights[i] = next;
    averages[i] += rates.ema_share * (next - averages[i]);
  }
}

}  // namespace fairlead::trainer
