// Self-attention (Vaswani et al. 2017) within sequences of different lengths that lie one behind
// another, without padding.
#pragma once

#include <vector>

#include "trainer/compat.h"

namespace fairlead::trainer {

// Where the sequences lie: sequence i has the rows offsets[i] to offsets[i + 1] − 1, at least one.
struct Sequences {
  std::vector<int64_t> offsets = {0};

  int64_t count() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t tokens() const { return offsets.back(); }
  int64_t Length(int64_t i) const { return offsets[i + 1] - offsets[i]; }
};

// (tokens, 3 · width): queries, keys and values of every token, each heads × (width / heads) → what
// each token gathers, (tokens, width). Of float32 on the CPU matrix products straight out of and
// into these buffers, by the BLAS that libtorch has loaded; otherwise as PaddedAttention.
torch::Tensor Attention(const torch::Tensor& queries_keys_values, const Sequences& sequences,
                        int64_t heads);

// The same by libtorch's own operations, every sequence padded to the longest, the padding masked.
torch::Tensor PaddedAttention(const torch::Tensor& queries_keys_values, const Sequences& sequences,
                              int64_t heads);

}  // namespace fairlead::trainer
