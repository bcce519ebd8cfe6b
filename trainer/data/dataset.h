// The training set as resident tensors: one uint8 tensor of images, labels, lengths, weights.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "trainer/compat.h"
#include "trainer/data/labels.h"
#include "trainer/train.h"

namespace fairlead::trainer {

struct OcrDataset {
  torch::Tensor images;   // (N, 1, H, W) uint8.
  torch::Tensor targets;  // (N, positions) int64.
  torch::Tensor lengths;  // (N) int64.
  torch::Tensor weights;  // (N) float32, mean 1 over the training split.
  std::vector<std::string> texts;
  std::vector<int64_t> train, validation, test;  // Rows of each split.
};

// Row i is example i; those that `usable` (one an example) denies are in no split.
// INVALID_ARGUMENT names the example: empty or misshapen image, text that does not fit, bad weight.
absl::StatusOr<OcrDataset> BuildDataset(absl::Span<const OcrExample> examples,
                                        const std::vector<bool>& usable, const Alphabet& alphabet,
                                        int positions, int height, int width);

// (N, 1, height, width) uint8. INVALID_ARGUMENT for an empty or misshapen image.
absl::StatusOr<torch::Tensor> StackImages(absl::Span<const GrayImage> images, int height,
                                          int width);

// SHA-256 over ids, texts, weights, splits and pixels, in order.
std::string DigestOfExamples(absl::Span<const OcrExample> examples);

// Rows of one epoch in the order of training: Fisher–Yates by Philox(seed, epoch).
std::vector<int64_t> ShuffledRows(const std::vector<int64_t>& rows, uint64_t seed, uint32_t epoch);

// uint8 → float with mean 0 and deviation 1 within each image.
torch::Tensor NormaliseImages(const torch::Tensor& images);

}  // namespace fairlead::trainer
