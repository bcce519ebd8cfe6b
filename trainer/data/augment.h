// Random distortions of training images. Each depends on (seed, epoch, row) alone.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "trainer/compat.h"

namespace fairlead::trainer {

// Largest deviations; each image draws uniformly within them.
struct AugmentOptions {
  double shift_x = 4.0;  // Pixels.
  double shift_y = 2.0;
  double degrees = 4.0;
  double scale = 0.08;    // 1 ± scale, both sides alike.
  double stretch = 0.06;  // 1 ± stretch, horizontally.
  double shear = 0.08;    // Pixels a pixel.
  double contrast = 0.2;  // Exponent exp(± contrast) on the pixel in [0, 1].
  double noise = 0.04;    // Largest deviation, of the pixel in [0, 1].
};

// Thread-compatible.
class Augmenter {
 public:
  Augmenter(const AugmentOptions& options, uint64_t seed, int height, int width,
            torch::Device device);
  // `images` (B, 1, H, W) uint8 on the device, `rows` their numbers in the set. Pixels 0…255 as
  // float.
  torch::Tensor Apply(const torch::Tensor& images, absl::Span<const int64_t> rows,
                      uint32_t epoch) const;

 private:
  const AugmentOptions options_;
  const uint64_t seed_;
  const int height_, width_;
  const torch::Device device_;
  torch::Tensor noise_;  // Standard normal numbers; each image reads a stretch of them.
};

// `features` (B, …) with a share of the numbers set to 0 and the others scaled up (Srivastava et
// al. 2014). The numbers of a row depend on (seed, epoch, row) alone; the share is rounded to
// 1/256.
torch::Tensor DropFeatures(const torch::Tensor& features, double share, uint64_t seed,
                           uint32_t epoch, absl::Span<const int64_t> rows);

}  // namespace fairlead::trainer
