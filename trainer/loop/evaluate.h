// Runs a net over many images.
#pragma once

#include <vector>

#include "trainer/compat.h"
#include "trainer/loop/readout.h"
#include "trainer/nn/ocr_net.h"

namespace fairlead::trainer {

// Logits of `rows` of `images` ((N, 1, H, W) uint8, on the device), in batches of 64, without
// gradients.
LogitsTable ComputeLogits(OcrNetImpl& net, const OcrConfig& config, const torch::Tensor& images,
                          const std::vector<int64_t>& rows);

}  // namespace fairlead::trainer
