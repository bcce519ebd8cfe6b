// A convolution with weight standardisation, so that no batch norm is needed (Brock, De and Smith
// 2021, "Characterizing signal propagation to close the performance gap in unnormalized ResNets").
#pragma once

#include <array>

#include "trainer/compat.h"

namespace fairlead::trainer {

// sqrt(1 / Var(silu(x))) for standard normal x: keeps the variance at 1 through conv and SiLU.
inline constexpr double kSiluGamma = 1.7881293296813965;

struct ConvShape {
  int in_channels = 1;
  int out_channels = 1;
  int kernel = 3;                          // Odd; padding keeps the size at stride 1.
  std::array<int64_t, 2> stride = {1, 1};  // Vertical, horizontal.
  int groups = 1;
};

// Weights used: per output filter (w − mean) / sqrt(var + 1e-5) · gain · gamma / sqrt(fan_in).
// Parameters in order: weight, bias, gain.
class ScaledConvImpl : public torch::nn::Module {
 public:
  explicit ScaledConvImpl(const ConvShape& shape);
  torch::Tensor forward(const torch::Tensor& input);
  torch::Tensor StandardisedWeight() const;
  // Standardises once for all later calls; parameters must not change afterwards. The folded
  // weights also multiply by `input_gain`, which the caller then leaves out.
  void Fold(double input_gain = 1.0);

  torch::Tensor weight, bias, gain;

 private:
  const ConvShape shape_;
  const double scale_;
  torch::Tensor folded_;
};
TORCH_MODULE(ScaledConv);

}  // namespace fairlead::trainer
