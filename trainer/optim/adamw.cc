#include "trainer/optim/adamw.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "trainer/optim/update.h"

namespace fairlead::trainer {

AdamW::AdamW(const FlatParameters& parameters, const AdamWOptions& options)
    : options_(options),
      slices_(parameters.slices()),
      weights_(parameters.weights()),
      gradients_(parameters.gradients()),
      m_(torch::zeros_like(weights_)),
      v_(torch::zeros_like(weights_)),
      ema_(weights_.clone()) {
  if (weights_.is_cpu() && !options_.tensors_on_cpu) return;  // Which needs none of the rest.
  torch::Tensor mask = torch::zeros({weights_.numel()}, torch::kFloat32);
  std::vector<int64_t> lengths;
  std::vector<float> clips;
  const auto add = [&](int64_t length, bool clipped) {
    lengths.push_back(length);
    clips.push_back(clipped ? static_cast<float>(options_.clip)
                            : std::numeric_limits<float>::infinity());
  };
  int64_t end = 0;
  for (const ParameterSlice& slice : slices_) {
    if (slice.decays) mask.narrow(0, slice.offset, slice.size).fill_(1.0);
    if (slice.offset > end) add(slice.offset - end, /*clipped=*/false);
    const int64_t units = slice.clips ? slice.units : 1;
    for (int64_t unit = 0; unit < units; ++unit) add(slice.size / units, slice.clips);
    end = slice.offset + slice.size;
  }
  if (weights_.numel() > end) add(weights_.numel() - end, /*clipped=*/false);
  decay_mask_ = mask.to(weights_.device());
  segments_ = torch::tensor(lengths, torch::kInt64).to(weights_.device());
  clips_ = torch::tensor(clips, torch::kFloat32).to(weights_.device());
}

StepReport AdamW::Step(int64_t step, double learning_rate, double ema_decay) {
  torch::NoGradGuard no_grad;
  return segments_.defined() ? StepByTensors(step, learning_rate, ema_decay)
                             : StepOnCpu(step, learning_rate, ema_decay);
}

StepReport AdamW::StepOnCpu(int64_t step, double learning_rate, double ema_decay) {
  const double count = static_cast<double>(step) + 1;
  UpdateRates rates;
  rates.beta1 = static_cast<float>(options_.beta1);
  rates.beta2 = static_cast<float>(options_.beta2);
  rates.step_size = static_cast<float>(learning_rate / (1 - std::pow(options_.beta1, count)));
  rates.inverse_root = static_cast<float>(1 / std::sqrt(1 - std::pow(options_.beta2, count)));
  rates.epsilon = static_cast<float>(options_.epsilon);
  rates.ema_share = static_cast<float>(1 - ema_decay);
  int64_t units = 0, clipped = 0;
  double square = 0;
  for (const ParameterSlice& slice : slices_) {
    rates.decay = slice.decays ? static_cast<float>(learning_rate * options_.weight_decay) : 0.0f;
    const int64_t row = slice.size / slice.units;
    for (int64_t unit = 0; unit < slice.units; ++unit) {
      const int64_t at = slice.offset + unit * row;
      float* const weights = weights_.data_ptr<float>() + at;
      float* const gradients = gradients_.data_ptr<float>() + at;
      double factor = 1;
      const double norm = NormOf(gradients, row);
      square += norm * norm;
      if (options_.clip > 0 && slice.clips) {
        const double limit = options_.clip * std::max(NormOf(weights, row), 1e-3);
        if (norm > limit) factor = limit / norm;
        ++units;
        clipped += norm > limit;
      }
      UpdateStretch(rates, static_cast<float>(factor), row, weights, gradients,
                    m_.data_ptr<float>() + at, v_.data_ptr<float>() + at,
                    ema_.data_ptr<float>() + at);
    }
  }
  return {std::sqrt(square),
          static_cast<double>(clipped) / static_cast<double>(std::max<int64_t>(1, units))};
}

StepReport AdamW::StepByTensors(int64_t step, double learning_rate, double ema_decay) {
  if (options_.clip > 0) {
    // Sums over segments are taken in one order, unlike scattered ones: the same bits every time.
    const auto norms = [&](const torch::Tensor& values) {
      return at::segment_reduce(values.square(), "sum", segments_, {}, {}, /*axis=*/0,
                                /*unsafe=*/true)
          .sqrt_();
    };
    const torch::Tensor limits = norms(weights_).clamp_min_(1e-3).mul_(clips_);
    const torch::Tensor factors = limits.div_(norms(gradients_).clamp_min_(1e-6)).clamp_max_(1.0);
    gradients_.mul_(factors.repeat_interleave(segments_, /*dim=*/0, weights_.numel()));
  }
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
  return {};
}

}  // namespace fairlead::trainer
