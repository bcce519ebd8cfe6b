// Runs a net over many images, and serves it as a reader.
#pragma once

#include <memory>
#include <vector>

#include "trainer/compat.h"
#include "trainer/loop/readout.h"
#include "trainer/nn/ocr_net.h"
#include "trainer/train.h"

namespace fairlead::trainer {

// Logits of `rows` of `images` ((N, 1, H, W) uint8, on the device), in batches of 64, without
// gradients.
LogitsTable ComputeLogits(OcrNetImpl& net, const OcrConfig& config, const torch::Tensor& images,
                          const std::vector<int64_t>& rows);

// The net is moved to the device and folded: nothing may train it afterwards.
std::unique_ptr<OcrModel> ServeNet(LoadedOcrNet loaded, torch::Device device, int threads);

}  // namespace fairlead::trainer
