#include "trainer/nn/softmax_rows.h"

#include <algorithm>
#include <bit>

namespace fairlead::trainer {
namespace {

// e^x for x ≤ 0, within 2 units in the last place: 2^n · e^r with |r| ≤ ln 2 / 2, e^r by Taylor's
// series (the seventh term is below 2^-24). Below −87 the smallest normal number.
inline float Exponential(float x) {
  constexpr float kToInteger = 12582912.0f;  // 1.5 · 2^23: adding it rounds to a whole number.
  x = std::max(x, -87.0f);
  const float n = (x * 1.44269504f + kToInteger) - kToInteger;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float sum = 1.0f / 5040;
  sum = sum * r + 1.0f / 720;
  sum = sum * r + 1.0f / 120;
  sum = sum * r + 1.0f / 24;
  sum = sum * r + 1.0f / 6;
  sum = sum * r + 0.5f;
  sum = sum * r + 1.0f;
  sum = sum * r + 1.0f;
  return sum * std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
}

constexpr int kLanes = 8;  // Sums in a fixed order: fast and the same everywhere.

}  // namespace

void SoftmaxRows(int64_t count, int64_t length, float* values) {
  for (int64_t row = 0; row < count; ++row, values += length) {
    float tops[kLanes];
    std::fill(tops, tops + kLanes, values[0]);
    int64_t i = 0;
    for (; i + kLanes <= length; i += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) tops[lane] = std::max(tops[lane], values[i + lane]);
    }
    for (; i < length; ++i) tops[0] = std::max(tops[0], values[i]);
    const float top = *std::max_element(tops, tops + kLanes);
    for (i = 0; i < length; ++i) values[i] = Exponential(values[i] - top);
    float sums[kLanes] = {};
    i = 0;
    for (; i + kLanes <= length; i += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) sums[lane] += values[i + lane];
    }
    for (; i < length; ++i) sums[0] += values[i];
    float total = 0;
    for (const float sum : sums) total += sum;
    const float share = 1 / total;
    for (i = 0; i < length; ++i) values[i] *= share;
  }
}

void SoftmaxSlopes(int64_t count, int64_t length, const float* __restrict softmax,
                   float* __restrict slopes) {
  for (int64_t row = 0; row < count; ++row, softmax += length, slopes += length) {
    float sums[kLanes] = {};
    int64_t i = 0;
    for (; i + kLanes <= length; i += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) sums[lane] += softmax[i + lane] * slopes[i + lane];
    }
    for (; i < length; ++i) sums[0] += softmax[i] * slopes[i];
    float total = 0;
    for (const float sum : sums) total += sum;
    for (i = 0; i < length; ++i) slopes[i] = softmax[i] * (slopes[i] - total);
  }
}

}  // namespace fairlead::trainer
