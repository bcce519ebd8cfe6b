// AdamW (Loshchilov and Hutter 2019) with adaptive gradient clipping (Brock et al. 2021) and
// averaged weights, over flat buffers.
#pragma once

#include "trainer/optim/flat_parameters.h"

namespace fairlead::trainer {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.99;
  double epsilon = 1e-8;
  double weight_decay = 0.02;  // Not on gains, biases.
  double clip = 0.1;  // AGC: ‖gradient‖ ≤ clip · ‖weights‖ for each unit; 0 = off.
  bool tensors_on_cpu = false;  // Step by whole tensors, as on a GPU, on the CPU too; for tests.
};

struct StepReport {
  double gradient_norm =
      -1;  // Before clipping; −1 on a device, where it would have to be waited for.
  double clipped_share = -1;  // Of the units that may be clipped; −1 likewise.
};

// The state is three tensors as long as the flat weights; a checkpoint is these and the step.
class AdamW {
 public:
  AdamW(const FlatParameters& parameters, const AdamWOptions& options);
  // Applies the gradients and sets them to zero; on the CPU in one pass over the buffers. `step`
  // counts from 0.
  StepReport Step(int64_t step, double learning_rate, double ema_decay);

  torch::Tensor first_moment() const { return m_; }
  torch::Tensor second_moment() const { return v_; }
  torch::Tensor averaged() const { return ema_; }
  // The averaged weights start over at the present ones; after a warm start.
  void ResetAverage() { ema_.copy_(weights_); }

 private:
  StepReport StepOnCpu(int64_t step, double learning_rate, double ema_decay);
  // About twenty kernels whatever the number of parameters: norms are sums over segments.
  StepReport StepByTensors(int64_t step, double learning_rate, double ema_decay);

  const AdamWOptions options_;
  const std::vector<ParameterSlice> slices_;
  torch::Tensor weights_, gradients_, m_, v_, ema_;
  // Of the step by tensors: 1 where weights decay; lengths of the segments that the flat buffer
  // falls into (units, what is not clipped, padding), and each one's clip.
  torch::Tensor decay_mask_, segments_, clips_;
};

}  // namespace fairlead::trainer
