// The backbone: eca_nfnet_l0 (Brock et al. 2021; layer sizes as in timm's nfnet.py) and narrower
// nets of the same family, all from one configuration.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/nn/nf_block.h"

namespace fairlead::trainer {

struct NfnetConfig {
  using Stride = std::array<int64_t, 2>;  // Vertical, horizontal.
  int in_channels = 1;
  std::vector<int> stem_channels = {16, 32, 64, 128};
  std::vector<Stride> stem_strides = {{2, 2}, {1, 1}, {1, 1}, {2, 2}};
  std::vector<int> channels = {256, 512, 1536, 1536};  // One a stage.
  std::vector<int> depths = {1, 2, 6, 3};
  std::vector<Stride> strides = {{1, 1}, {2, 2}, {2, 2}, {2, 2}};
  int final_channels = 2304;
  int group_size = 64;
  double bottle_ratio = 0.25;
};

// full | half | quarter | eighth | tiny. `tiny` keeps a quarter of the image's width as columns;
// the others divide both sides by 32, or by 16 when the image is lower than 64 pixels ("stride
// 16").
absl::StatusOr<NfnetConfig> ConfigOfVariant(absl::string_view variant, int image_height);

// Only the stem narrows the map: a quarter of the image's width stays as columns, for CTC.
void KeepColumns(NfnetConfig& config);

class NfnetImpl : public torch::nn::Module {
 public:
  explicit NfnetImpl(const NfnetConfig& config);
  // (B, in_channels, H, W) → (B, final_channels, H/s, W/s), activated.
  torch::Tensor forward(torch::Tensor input);
  // Standardises every convolution once and folds the blocks' betas in, for inference.
  void Fold();
  // Betas of the blocks in order; for tests.
  const std::vector<double>& betas() const { return betas_; }

 private:
  torch::nn::ModuleList stem_, blocks_;
  ScaledConv final_conv_{nullptr};
  std::vector<double> betas_;
};
TORCH_MODULE(Nfnet);

// Initial values from (seed, tensor index), by name: conv weights N(0, 1/fan_in), gains 1 except
// the last of each branch, which is 0 (so that a block begins as its shortcut), biases 0, heads
// N(0, 0.01²), ECA uniform.
void InitialiseParameters(torch::nn::Module& module, uint64_t seed);

}  // namespace fairlead::trainer
