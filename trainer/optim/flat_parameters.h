// All parameters of a module as one contiguous float tensor, with views in the module: optimiser,
// averaging, checkpoint and digest are then single operations.
#pragma once

#include <string>
#include <vector>

#include "trainer/compat.h"

namespace fairlead::trainer {

struct ParameterSlice {
  std::string name;
  int64_t offset = 0;  // In floats; a multiple of 16, so that each tensor keeps its alignment.
  int64_t size = 0;
  int64_t units = 1;  // Rows that are clipped on their own; see adamw.h.
  bool decays = false;
  bool clips = true;
};

// Thread-compatible. The module must outlive nothing: both share the storage.
class FlatParameters {
 public:
  // Moves every parameter of `module` (and its gradient) into one buffer on `device`.
  FlatParameters(torch::nn::Module& module, torch::Device device);

  torch::Tensor weights() const { return weights_; }
  torch::Tensor gradients() const { return gradients_; }
  const std::vector<ParameterSlice>& slices() const { return slices_; }
  int64_t count() const { return count_; }  // Parameters, without padding.

 private:
  torch::Tensor weights_, gradients_;
  std::vector<ParameterSlice> slices_;
  int64_t count_ = 0;
};

}  // namespace fairlead::trainer
