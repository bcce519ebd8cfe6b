#include "trainer/nn/eca_nfnet.h"

#include <cmath>

#include "absl/strings/match.h"
#include "common/base/philox.h"

namespace fairlead::trainer {
namespace {

constexpr uint32_t kInitialisationPurpose = 0x1417;

// Philox numbers for tensor `index`, scaled: normal with deviation `scale`, or uniform in ±scale.
torch::Tensor RandomLike(const torch::Tensor& like, uint64_t seed, uint32_t index, double scale,
                         bool normal) {
  torch::Tensor values = torch::empty(like.sizes(), torch::kFloat32);
  float* out = values.data_ptr<float>();
  PhiloxStream stream(seed, 0, index, kInitialisationPurpose);
  for (int64_t i = 0; i < values.numel(); ++i) {
    const double value = normal ? stream.Normal() : stream.Uniform(-1, 1);
    out[i] = static_cast<float>(scale * value);
  }
  return values;
}

// Channels last on the CPU: oneDNN then needs no reorders, and a training step takes four fifths of
// the time. Written out, because for one channel torch holds both layouts to be the same.
torch::Tensor InLayoutOfDevice(const torch::Tensor& input) {
  if (!input.is_cpu() || input.scalar_type() != torch::kFloat32) return input;
  const torch::TensorOptions options =
      input.options().memory_format(torch::MemoryFormat::ChannelsLast);
  return torch::empty(input.sizes(), options).copy_(input);
}

}  // namespace

absl::StatusOr<NfnetConfig> ConfigOfVariant(absl::string_view variant, int image_height) {
  NfnetConfig config;
  if (variant == "half") {
    config.stem_channels = {8, 16, 32, 64};
    config.channels = {128, 256, 768, 768};
    config.final_channels = 1152;
  } else if (variant == "quarter") {
    config.stem_channels = {4, 8, 16, 32};
    config.channels = {64, 128, 384, 384};
    config.final_channels = 576;
    config.group_size = 32;
  } else if (variant == "eighth") {
    config.stem_channels = {4, 8, 16, 32};
    config.channels = {64, 128, 256, 256};
    config.depths = {1, 1, 2, 1};
    config.final_channels = 384;
    config.group_size = 16;
  } else if (variant == "tiny") {
    config.stem_channels = {16, 32};
    config.stem_strides = {{2, 2}, {2, 2}};
    config.channels = {64, 128};
    config.depths = {1, 1};
    config.strides = {{2, 1}, {2, 1}};
    config.final_channels = 128;
    config.group_size = 32;
    return config;
  } else if (variant != "full") {
    return FieldError("variant", absl::StrCat("'", variant,
                                              "' is unknown; use full, half, quarter, eighth, "
                                              "tiny or auto"));
  }
  if (image_height < 64) config.strides.back() = {1, 1};
  return config;
}

void KeepColumns(NfnetConfig& config) {
  for (NfnetConfig::Stride& stride : config.strides) stride[1] = 1;
}

NfnetImpl::NfnetImpl(const NfnetConfig& config) {
  int channels = config.in_channels;
  register_module("stem", stem_);
  for (size_t i = 0; i < config.stem_channels.size(); ++i) {
    stem_->push_back(ScaledConv(ConvShape{.in_channels = channels,
                                          .out_channels = config.stem_channels[i],
                                          .stride = config.stem_strides[i]}));
    channels = config.stem_channels[i];
  }
  register_module("blocks", blocks_);
  double variance = 1.0;
  for (size_t stage = 0; stage < config.channels.size(); ++stage) {
    for (int depth = 0; depth < config.depths[stage]; ++depth) {
      NfBlockShape shape;
      shape.in_channels = channels;
      shape.out_channels = config.channels[stage];
      shape.mid_channels = static_cast<int>(shape.out_channels * config.bottle_ratio);
      shape.groups = std::max(1, shape.mid_channels / config.group_size);
      if (depth == 0) shape.stride = config.strides[stage];
      shape.beta = 1.0 / std::sqrt(variance);
      if (depth == 0) variance = 1.0;
      variance += shape.alpha * shape.alpha;
      betas_.push_back(shape.beta);
      blocks_->push_back(NfBlock(shape));
      channels = shape.out_channels;
    }
  }
  final_conv_ = register_module(
      "final_conv",
      ScaledConv(
          ConvShape{.in_channels = channels, .out_channels = config.final_channels, .kernel = 1}));
}

torch::Tensor NfnetImpl::forward(torch::Tensor input) {
  input = InLayoutOfDevice(input);
  for (size_t i = 0; i < stem_->size(); ++i) {
    input = stem_->ptr<ScaledConvImpl>(i)->forward(input);
    if (i + 1 < stem_->size()) input = torch::silu(input);
  }
  for (size_t i = 0; i < blocks_->size(); ++i) {
    input = blocks_->ptr<NfBlockImpl>(i)->forward(input);
  }
  return torch::silu(final_conv_->forward(input));
}

void NfnetImpl::Fold() {
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < stem_->size(); ++i) stem_->ptr<ScaledConvImpl>(i)->Fold();
  for (size_t i = 0; i < blocks_->size(); ++i) blocks_->ptr<NfBlockImpl>(i)->Fold();
  final_conv_->Fold();
}

void InitialiseParameters(torch::nn::Module& module, uint64_t seed) {
  torch::NoGradGuard no_grad;
  uint32_t index = 0;
  for (const auto& item : module.named_parameters()) {
    const std::string& name = item.key();
    torch::Tensor value = item.value();
    ++index;
    if (absl::EndsWith(name, "gain")) {
      value.fill_(absl::EndsWith(name, "conv3.gain") ? 0.0 : 1.0);
    } else if (absl::EndsWith(name, "bias")) {
      value.zero_();
    } else if (absl::StrContains(name, "attn_last")) {
      const double bound = 1.0 / std::sqrt(static_cast<double>(value.numel()));
      value.copy_(RandomLike(value, seed, index, bound, /*normal=*/false));
    } else if (absl::StrContains(name, "head")) {
      value.copy_(RandomLike(value, seed, index, 0.01, /*normal=*/true));
    } else {
      const double fan_in = static_cast<double>(value.numel()) / value.size(0);
      value.copy_(RandomLike(value, seed, index, 1.0 / std::sqrt(fan_in), /*normal=*/true));
    }
  }
}

}  // namespace fairlead::trainer
