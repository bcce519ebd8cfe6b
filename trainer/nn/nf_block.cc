#include "trainer/nn/nf_block.h"

namespace fairlead::trainer {
namespace {

// Holds the shortcut's convolution under the name that published weights use.
struct DownsampleImpl : torch::nn::Module {
  explicit DownsampleImpl(const ConvShape& shape)
      : conv(register_module("conv", ScaledConv(shape))) {}
  ScaledConv conv;
};

}  // namespace

NfBlockImpl::NfBlockImpl(const NfBlockShape& shape) : shape_(shape), beta_(shape.beta) {
  const int mid = shape.mid_channels;
  pools_ = shape.stride[0] != 1 || shape.stride[1] != 1;
  if (pools_ || shape.in_channels != shape.out_channels) {
    auto downsample = std::make_shared<DownsampleImpl>(ConvShape{
        .in_channels = shape.in_channels, .out_channels = shape.out_channels, .kernel = 1});
    register_module("downsample", downsample);
    downsample_ = downsample->conv;
  }
  conv1_ = register_module(
      "conv1",
      ScaledConv(ConvShape{.in_channels = shape.in_channels, .out_channels = mid, .kernel = 1}));
  const ConvShape spatial{.in_channels = mid, .out_channels = mid, .groups = shape.groups};
  ConvShape strided = spatial;
  strided.stride = shape.stride;
  conv2_ = register_module("conv2", ScaledConv(strided));
  conv2b_ = register_module("conv2b", ScaledConv(spatial));
  conv3_ = register_module(
      "conv3",
      ScaledConv(ConvShape{.in_channels = mid, .out_channels = shape.out_channels, .kernel = 1}));
  attention_ = register_module("attn_last", Eca(shape.out_channels));
}

void NfBlockImpl::Fold() {
  for (ScaledConv* conv : {&conv2_, &conv2b_, &conv3_}) (*conv)->Fold();
  conv1_->Fold(shape_.beta);
  if (!downsample_.is_empty()) downsample_->Fold(shape_.beta);  // Pooling is linear.
  beta_ = 1.0;
}

torch::Tensor NfBlockImpl::forward(const torch::Tensor& input) {
  torch::Tensor activated = torch::silu(input);
  if (beta_ != 1.0) activated = activated * beta_;
  torch::Tensor shortcut = input;
  if (!downsample_.is_empty()) {
    torch::Tensor pooled = activated;
    if (pools_) {
      pooled = torch::avg_pool2d(activated, shape_.stride, shape_.stride, {0, 0},
                                 /*ceil_mode=*/true, /*count_include_pad=*/false);
    }
    shortcut = downsample_->forward(pooled);
  }
  torch::Tensor out = conv1_->forward(activated);
  out = conv2_->forward(torch::silu(out));
  out = conv2b_->forward(torch::silu(out));
  out = conv3_->forward(torch::silu(out));
  out = attention_->forward(out);
  return torch::add(shortcut, out, shape_.alpha * shape_.attn_gain);
}

}  // namespace fairlead::trainer
