// One pass of AdamW, gradient clipping and averaging over a stretch of the flat buffers, on the
// CPU. Torch-free, so that the compiler may vectorise it with its own flags.
#pragma once

#include <cstdint>

namespace fairlead::trainer {

// What is equal for all weights of a step.
struct UpdateRates {
  float beta1 = 0.9f;
  float beta2 = 0.99f;
  float step_size = 0;     // Learning rate / (1 − beta1^t).
  float inverse_root = 1;  // 1 / sqrt(1 − beta2^t).
  float epsilon = 1e-8f;
  float decay = 0;      // Learning rate · weight decay, where a weight decays.
  float ema_share = 0;  // 1 − EMA decay.
};

// Euclidean norm in a fixed order of additions.
double NormOf(const float* values, int64_t count);

// Updates weights, moments m and v and averages from factor · gradients, and zeroes the gradients.
// The five arrays have `count` numbers and do not overlap. O(count).
void UpdateStretch(const UpdateRates& rates, float factor, int64_t count, float* weights,
                   float* gradients, float* m, float* v, float* averages);

}  // namespace fairlead::trainer
