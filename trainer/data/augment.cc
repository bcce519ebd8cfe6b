#include "trainer/data/augment.h"

#include <cmath>

#include "common/base/philox.h"

namespace fairlead::trainer {
namespace {

constexpr uint32_t kAugmentPurpose = 0xA461;
constexpr uint32_t kNoisePurpose = 0x4015;
constexpr uint32_t kDropoutPurpose = 0xD409;
constexpr int64_t kNoiseOffsets = 1 << 17;

}  // namespace

Augmenter::Augmenter(const AugmentOptions& options, uint64_t seed, int height, int width,
                     torch::Device device)
    : options_(options), seed_(seed), height_(height), width_(width), device_(device) {
  const int64_t count = kNoiseOffsets + int64_t{height} * width;
  torch::Tensor noise = torch::empty({count}, torch::kFloat32);
  PhiloxStream stream(seed, 0, 0, kNoisePurpose);
  for (int64_t i = 0; i < count; ++i) {
    noise.data_ptr<float>()[i] = static_cast<float>(stream.Normal());
  }
  noise_ = noise.to(device);
}

torch::Tensor Augmenter::Apply(const torch::Tensor& images, absl::Span<const int64_t> rows,
                               uint32_t epoch) const {
  const int64_t batch = images.size(0);
  const AugmentOptions& o = options_;
  torch::Tensor theta = torch::empty({batch, 2, 3}, torch::kFloat32);
  torch::Tensor exponents = torch::empty({batch, 1, 1, 1}, torch::kFloat32);
  torch::Tensor deviations = torch::empty({batch, 1, 1, 1}, torch::kFloat32);
  std::vector<torch::Tensor> noise;
  const double aspect = static_cast<double>(width_) / height_;
  for (int64_t i = 0; i < batch; ++i) {
    PhiloxStream stream(seed_, epoch, static_cast<uint32_t>(rows[i]), kAugmentPurpose);
    const double angle = stream.Uniform(-o.degrees, o.degrees) * 3.14159265358979323846 / 180;
    const double zoom = 1 / (1 + stream.Uniform(-o.scale, o.scale));
    const double wide = zoom / (1 + stream.Uniform(-o.stretch, o.stretch));
    const double shear = stream.Uniform(-o.shear, o.shear);
    // Output pixel to input pixel about the centre; off-diagonals carry the ratio of the sides.
    float* t = theta.data_ptr<float>() + i * 6;
    t[0] = static_cast<float>(wide * std::cos(angle));
    t[1] = static_cast<float>((shear - std::sin(angle)) * zoom / aspect);
    t[2] = static_cast<float>(stream.Uniform(-o.shift_x, o.shift_x) * 2 / width_);
    t[3] = static_cast<float>(std::sin(angle) * wide * aspect);
    t[4] = static_cast<float>(zoom * std::cos(angle));
    t[5] = static_cast<float>(stream.Uniform(-o.shift_y, o.shift_y) * 2 / height_);
    exponents.data_ptr<float>()[i] =
        static_cast<float>(std::exp(stream.Uniform(-o.contrast, o.contrast)));
    deviations.data_ptr<float>()[i] = static_cast<float>(255 * stream.Uniform(0, o.noise));
    noise.push_back(noise_.narrow(0, stream.Below(kNoiseOffsets), int64_t{height_} * width_));
  }
  const torch::Tensor grid =
      at::affine_grid_generator(theta.to(device_), {batch, 1, height_, width_}, false);
  // 0 and 1: bilinear, border.
  torch::Tensor warped = at::grid_sampler(images.to(torch::kFloat32), grid, 0, 1, false);
  warped = (warped / 255).clamp_min_(1e-4).log_().mul_(exponents.to(device_)).exp_().mul_(255);
  return warped.add_(torch::stack(noise).view_as(warped) * deviations.to(device_));
}

torch::Tensor DropFeatures(const torch::Tensor& features, double share, uint64_t seed,
                           uint32_t epoch, absl::Span<const int64_t> rows) {
  const uint32_t threshold = static_cast<uint32_t>(std::lround(share * 256));
  if (threshold == 0) return features;
  const float kept = 256.0f / static_cast<float>(256 - threshold);
  // In the features' own layout, of which the batch is always the outermost side.
  torch::Tensor mask = torch::empty_like(
      features, torch::TensorOptions().device(torch::kCPU).dtype(torch::kFloat32));
  const int64_t length = features.numel() / features.size(0);
  float* out = mask.data_ptr<float>();
  for (const int64_t row : rows) {
    PhiloxStream stream(seed, epoch, static_cast<uint32_t>(row), kDropoutPurpose);
    uint32_t bits = 0;
    for (int64_t i = 0; i < length; ++i, bits >>= 8) {
      if (i % 4 == 0) bits = stream.Next();
      *out++ = (bits & 0xFF) < threshold ? 0.0f : kept;
    }
  }
  return features * mask.to(features.device());
}

}  // namespace fairlead::trainer
