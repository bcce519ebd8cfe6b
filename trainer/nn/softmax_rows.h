// Softmax over the rows of small matrices, and its slopes. Torch-free, so that the compiler may
// vectorise it with its own flags; equal on every machine.
#pragma once

#include <cstdint>

namespace fairlead::trainer {

// Every row of `values` (count × length) becomes its softmax. Finite input. O(count · length).
void SoftmaxRows(int64_t count, int64_t length, float* values);

// `slopes`, by the softmaxes, becomes by what they were made of:
//   d_ij = p_ij · (d_ij − Σ_k p_ik · d_ik).
void SoftmaxSlopes(int64_t count, int64_t length, const float* softmax, float* slopes);

}  // namespace fairlead::trainer
