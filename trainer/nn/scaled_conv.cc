#include "trainer/nn/scaled_conv.h"

#include <cmath>

namespace fairlead::trainer {

ScaledConvImpl::ScaledConvImpl(const ConvShape& shape)
    : shape_(shape),
      scale_(kSiluGamma / std::sqrt(static_cast<double>(shape.in_channels / shape.groups) *
                                    shape.kernel * shape.kernel)) {
  weight = register_parameter(
      "weight", torch::zeros({shape.out_channels, shape.in_channels / shape.groups, shape.kernel,
                              shape.kernel}));
  bias = register_parameter("bias", torch::zeros({shape.out_channels}));
  gain = register_parameter("gain", torch::ones({shape.out_channels, 1, 1, 1}));
}

torch::Tensor ScaledConvImpl::StandardisedWeight() const {
  const torch::Tensor none;
  return torch::batch_norm(weight.view({1, shape_.out_channels, -1}), (gain * scale_).view({-1}),
                           none, none, none, /*training=*/true, /*momentum=*/0.0, /*eps=*/1e-5,
                           /*cudnn_enabled=*/false)
      .view_as(weight);
}

void ScaledConvImpl::Fold(double input_gain) {
  folded_ = (StandardisedWeight().detach() * input_gain).contiguous();
  if (shape_.kernel > 1 && folded_.is_cpu() && folded_.scalar_type() == torch::kFloat32) {
    folded_ = folded_.contiguous(torch::MemoryFormat::ChannelsLast);
  }
}

torch::Tensor ScaledConvImpl::forward(const torch::Tensor& input) {
  torch::Tensor used = folded_.defined() ? folded_ : StandardisedWeight();
  // A 1×1 weight is the same bytes in both layouts, and the convolution goes by the input's.
  if (shape_.kernel > 1) used = used.contiguous(input.suggest_memory_format());
  const int64_t padding = (shape_.kernel - 1) / 2;
  return torch::conv2d(input, used, bias, shape_.stride, {padding, padding}, {1, 1}, shape_.groups);
}

}  // namespace fairlead::trainer
