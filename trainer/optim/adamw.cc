#include "trainer/optim/adamw.h"

#include <algorithm>
#include <cmath>

namespace fairlead::trainer {
namespace {

double Norm(const float* values, int64_t count) {
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

}  // namespace

AdamW::AdamW(const FlatParameters& parameters, const AdamWOptions& options)
    : options_(options),
      slices_(parameters.slices()),
      weights_(parameters.weights()),
      gradients_(parameters.gradients()),
      m_(torch::zeros_like(weights_)),
      v_(torch::zeros_like(weights_)),
      ema_(weights_.clone()) {
  torch::Tensor mask = torch::zeros({weights_.numel()}, torch::kFloat32);
  for (const ParameterSlice& slice : slices_) {
    if (slice.decays) mask.narrow(0, slice.offset, slice.size).fill_(1.0);
  }
  decay_mask_ = mask.to(weights_.device());
}

void AdamW::ClipGradients() {
  for (const ParameterSlice& slice : slices_) {
    if (!slice.clips) continue;
    const int64_t row = slice.size / slice.units;
    if (weights_.is_cpu()) {
      const float* weights = weights_.data_ptr<float>() + slice.offset;
      float* gradients = gradients_.data_ptr<float>() + slice.offset;
      for (int64_t unit = 0; unit < slice.units; ++unit) {
        const double limit = options_.clip * std::max(Norm(weights + unit * row, row), 1e-3);
        const double norm = Norm(gradients + unit * row, row);
        if (norm <= limit) continue;
        const float factor = static_cast<float>(limit / norm);
        for (int64_t i = 0; i < row; ++i) gradients[unit * row + i] *= factor;
      }
      continue;
    }
    torch::Tensor weights = weights_.narrow(0, slice.offset, slice.size).view({slice.units, row});
    torch::Tensor gradients =
        gradients_.narrow(0, slice.offset, slice.size).view({slice.units, row});
    const torch::Tensor limit = weights.norm(2, {1}, true).clamp_min(1e-3) * options_.clip;
    gradients.mul_((limit / gradients.norm(2, {1}, true).clamp_min(1e-6)).clamp_max(1.0));
  }
}

void AdamW::Step(int64_t step, double learning_rate, double ema_decay) {
  torch::NoGradGuard no_grad;
  if (options_.clip > 0) ClipGradients();
  m_.mul_(options_.beta1).add_(gradients_, 1 - options_.beta1);
  v_.mul_(options_.beta2).addcmul_(gradients_, gradients_, 1 - options_.beta2);
  const double count = static_cast<double>(step) + 1;
  const double correction1 = 1 - std::pow(options_.beta1, count);
  const double correction2 = 1 - std::pow(options_.beta2, count);
  weights_.addcmul_(weights_, decay_mask_, -learning_rate * options_.weight_decay);
  const torch::Tensor divisor = v_.sqrt().div_(std::sqrt(correction2)).add_(options_.epsilon);
  weights_.addcdiv_(m_, divisor, -learning_rate / correction1);
  ema_.lerp_(weights_, 1 - ema_decay);
  gradients_.zero_();
}

}  // namespace fairlead::trainer
