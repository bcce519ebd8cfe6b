// The network behind transformer.h: an encoder with the normalisation before each part (Xiong et
// al. 2020), learnt places, and the mean over the response's tokens as its judgement's ground.
#pragma once

#include <memory>
#include <vector>

#include "trainer/nn/attention.h"
#include "trainer/reward/transformer.h"

namespace fairlead::trainer {

// Rows one behind another, on the device.
struct PackedRows {
  torch::Tensor ids, places;  // (tokens), int64.
  torch::Tensor pool;         // (rows, tokens): 1 / length at the tokens of the row's response.
  Sequences sequences;
};
PackedRows Pack(absl::Span<const TokenRow> rows, torch::Device device);

class TransformerNet : public torch::nn::Module {
 public:
  // Every weight is drawn from the seed and its own name's place alone.
  TransformerNet(const TransformerShape& shape, uint64_t seed);

  // (rows, 2): the quality's score and the length's.
  torch::Tensor forward(const PackedRows& rows);

 private:
  struct Layer {
    torch::Tensor norm1_gain, norm1_bias, mix_weight, mix_bias, out_weight, out_bias;
    torch::Tensor norm2_gain, norm2_bias, up_weight, up_bias, down_weight, down_bias;
  };

  torch::Tensor Add(const std::string& name, std::vector<int64_t> shape, double spread,
                    double center = 0);

  const TransformerShape shape_;
  const uint64_t seed_;
  uint32_t drawn_ = 0;
  torch::Tensor pieces_, places_, norm_gain_, norm_bias_, head_weight_, head_bias_;
  std::vector<Layer> layers_;
};

}  // namespace fairlead::trainer
