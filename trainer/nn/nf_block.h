// The normaliser-free bottleneck block of eca_nfnet.
#pragma once

#include "trainer/nn/eca.h"
#include "trainer/nn/scaled_conv.h"

namespace fairlead::trainer {

struct NfBlockShape {
  int in_channels = 0;
  int out_channels = 0;
  int mid_channels = 0;
  int groups = 1;
  std::array<int64_t, 2> stride = {1, 1};
  double beta = 1.0;       // 1 / sqrt(expected variance of the input).
  double alpha = 0.2;      // Weight of the residual branch.
  double attn_gain = 2.0;  // Makes up for the gates' mean of one half.
};

// out = alpha · attn_gain · ECA(branch(silu(x)·beta)) + shortcut. The down-sampling shortcut reads
// the activated input, the identity shortcut the raw one.
class NfBlockImpl : public torch::nn::Module {
 public:
  explicit NfBlockImpl(const NfBlockShape& shape);
  torch::Tensor forward(const torch::Tensor& input);
  // For inference: standardised weights once, with beta in those that read the activated input.
  void Fold();

 private:
  const NfBlockShape shape_;
  double beta_;  // 1 when folded.
  bool pools_ = false;
  ScaledConv downsample_{nullptr}, conv1_{nullptr}, conv2_{nullptr}, conv2b_{nullptr},
      conv3_{nullptr};
  Eca attention_{nullptr};
};
TORCH_MODULE(NfBlock);

}  // namespace fairlead::trainer
