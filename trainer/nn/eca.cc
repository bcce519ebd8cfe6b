#include "trainer/nn/eca.h"

#include <algorithm>
#include <cmath>

namespace fairlead::trainer {

EcaImpl::EcaImpl(int channels) {
  const int t = static_cast<int>(std::abs(std::log2(channels) + 1) / 2);
  const int odd = t % 2 == 1 ? t : t + 1;
  const int kernel = std::max(odd, 3);
  conv_ = register_module(
      "conv", torch::nn::Conv1d(
                  torch::nn::Conv1dOptions(1, 1, kernel).padding((kernel - 1) / 2).bias(false)));
}

torch::Tensor EcaImpl::forward(const torch::Tensor& input) {
  const torch::Tensor means = input.mean({2, 3}).unsqueeze(1);
  const torch::Tensor gates = conv_->forward(means).sigmoid();
  return input * gates.view({input.size(0), input.size(1), 1, 1});
}

}  // namespace fairlead::trainer
