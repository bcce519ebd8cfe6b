// Efficient channel attention (Wang et al., CVPR 2020): a 1-D convolution over the channel means.
#pragma once

#include "trainer/compat.h"

namespace fairlead::trainer {

class EcaImpl : public torch::nn::Module {
 public:
  // The kernel is odd(max(|log2 C + 1| / 2, 3)).
  explicit EcaImpl(int channels);
  torch::Tensor forward(const torch::Tensor& input);

 private:
  torch::nn::Conv1d conv_{nullptr};
};
TORCH_MODULE(Eca);

}  // namespace fairlead::trainer
