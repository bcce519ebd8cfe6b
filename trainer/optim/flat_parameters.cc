#include "trainer/optim/flat_parameters.h"

#include "absl/strings/match.h"

namespace fairlead::trainer {

FlatParameters::FlatParameters(torch::nn::Module& module, torch::Device device) {
  torch::NoGradGuard no_grad;
  int64_t length = 0;
  for (const auto& item : module.named_parameters()) {
    const torch::Tensor& value = item.value();
    ParameterSlice slice;
    slice.name = item.key();
    slice.offset = length;
    slice.size = value.numel();
    const bool matrix = value.dim() >= 2 && !absl::EndsWith(slice.name, "gain") &&
                        !absl::EndsWith(slice.name, "bias");
    const bool head = absl::StartsWith(slice.name, "head");
    slice.units = matrix ? value.size(0) : 1;
    slice.decays = matrix;
    slice.clips = !head;  // The last linear layer is left out (Brock et al. 2021, section 4).
    slices_.push_back(slice);
    count_ += slice.size;
    length += (slice.size + 15) / 16 * 16;
  }
  weights_ = torch::zeros({length}, torch::TensorOptions(device).dtype(torch::kFloat32));
  gradients_ = torch::zeros_like(weights_);
  size_t index = 0;
  for (auto& item : module.named_parameters()) {
    const ParameterSlice& slice = slices_[index++];
    torch::Tensor parameter = item.value();
    torch::Tensor view = weights_.narrow(0, slice.offset, slice.size).view(parameter.sizes());
    view.copy_(parameter);
    parameter.set_data(view);
    parameter.mutable_grad() =
        gradients_.narrow(0, slice.offset, slice.size).view(parameter.sizes());
  }
}

}  // namespace fairlead::trainer
