#include "trainer/reward/transformer_net.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/philox.h"

namespace fairlead::trainer {
namespace {

constexpr uint32_t kInitPurpose = 0x7E47;

}  // namespace

PackedRows Pack(absl::Span<const TokenRow> rows, torch::Device device) {
  PackedRows packed;
  std::vector<int64_t>& offsets = packed.sequences.offsets;
  for (const TokenRow& row : rows) {
    offsets.push_back(offsets.back() + static_cast<int64_t>(row.ids.size()));
  }
  const int64_t tokens = packed.sequences.tokens(), count = packed.sequences.count();
  packed.ids = torch::empty({tokens}, torch::kInt64);
  packed.places = torch::empty({tokens}, torch::kInt64);
  packed.pool = torch::zeros({count, tokens}, torch::kFloat32);
  auto* ids = packed.ids.data_ptr<int64_t>();
  auto* places = packed.places.data_ptr<int64_t>();
  auto* pool = packed.pool.data_ptr<float>();
  for (int64_t i = 0; i < count; ++i) {
    const TokenRow& row = rows[static_cast<size_t>(i)];
    const float share = 1.0f / static_cast<float>(row.ids.size() - row.response_begin);
    for (size_t t = 0; t < row.ids.size(); ++t) {
      const int64_t at = offsets[i] + static_cast<int64_t>(t);
      ids[at] = row.ids[t];
      places[at] = static_cast<int64_t>(t);
      if (t >= row.response_begin) pool[i * tokens + at] = share;
    }
  }
  packed.ids = packed.ids.to(device);
  packed.places = packed.places.to(device);
  packed.pool = packed.pool.to(device);
  return packed;
}

torch::Tensor TransformerNet::Add(const std::string& name, std::vector<int64_t> shape,
                                  double spread, double center) {
  torch::Tensor value = torch::empty(shape, torch::kFloat32);
  auto* values = value.data_ptr<float>();
  PhiloxStream stream(seed_, drawn_++, 0, kInitPurpose);
  for (int64_t i = 0; i < value.numel(); ++i) {
    values[i] = static_cast<float>(spread == 0 ? center : center + spread * stream.Normal());
  }
  return register_parameter(name, value);
}

TransformerNet::TransformerNet(const TransformerShape& shape, uint64_t seed)
    : shape_(shape), seed_(seed) {
  const int64_t width = shape.width, inner = 4 * width;
  const double spread = 1 / std::sqrt(static_cast<double>(width));
  // What is added to the stream starts small, so that depth does not change its size.
  const double added = spread / std::sqrt(2.0 * shape.layers);
  pieces_ = Add("pieces", {shape.vocabulary, width}, 0.1);
  places_ = Add("places", {shape.positions, width}, 0.1);
  for (int i = 0; i < shape.layers; ++i) {
    const auto name = [&](const char* part) { return absl::StrCat("layer", i, "_", part); };
    Layer layer;
    layer.norm1_gain = Add(name("norm1_gain"), {width}, 0, 1);
    layer.norm1_bias = Add(name("norm1_bias"), {width}, 0);
    layer.mix_weight = Add(name("mix_weight"), {3 * width, width}, spread);
    layer.mix_bias = Add(name("mix_bias"), {3 * width}, 0);
    layer.out_weight = Add(name("out_weight"), {width, width}, added);
    layer.out_bias = Add(name("out_bias"), {width}, 0);
    layer.norm2_gain = Add(name("norm2_gain"), {width}, 0, 1);
    layer.norm2_bias = Add(name("norm2_bias"), {width}, 0);
    layer.up_weight = Add(name("up_weight"), {inner, width}, spread);
    layer.up_bias = Add(name("up_bias"), {inner}, 0);
    layer.down_weight = Add(name("down_weight"), {width, inner}, added / 2);
    layer.down_bias = Add(name("down_bias"), {width}, 0);
    layers_.push_back(layer);
  }
  norm_gain_ = Add("norm_gain", {width}, 0, 1);
  norm_bias_ = Add("norm_bias", {width}, 0);
  head_weight_ = Add("head_weight", {2, width}, 0);
  head_bias_ = Add("head_bias", {2}, 0);
}

torch::Tensor TransformerNet::forward(const PackedRows& rows) {
  const int64_t width = shape_.width;
  torch::Tensor stream =
      torch::embedding(pieces_, rows.ids) + torch::embedding(places_, rows.places);
  for (const Layer& layer : layers_) {
    const torch::Tensor mixed =
        torch::linear(torch::layer_norm(stream, {width}, layer.norm1_gain, layer.norm1_bias),
                      layer.mix_weight, layer.mix_bias);
    stream = stream + torch::linear(Attention(mixed, rows.sequences, shape_.heads),
                                    layer.out_weight, layer.out_bias);
    const torch::Tensor raised =
        torch::linear(torch::layer_norm(stream, {width}, layer.norm2_gain, layer.norm2_bias),
                      layer.up_weight, layer.up_bias);
    stream = stream + torch::linear(torch::relu(raised), layer.down_weight, layer.down_bias);
  }
  const torch::Tensor last = torch::layer_norm(stream, {width}, norm_gain_, norm_bias_);
  return torch::linear(torch::mm(rows.pool, last), head_weight_, head_bias_);
}

}  // namespace fairlead::trainer
