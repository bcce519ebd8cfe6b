#include "trainer/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/base/casts.h"
#include "common/base/hash.h"
#include "common/base/philox.h"
#include "common/image/resize.h"

namespace fairlead::trainer {
namespace {

constexpr uint32_t kShufflePurpose = 0x5EED;

absl::Status CheckImage(const GrayImage& image) {
  const int64_t pixels = int64_t{image.width} * image.height;
  if (image.width < 1 || image.height < 1 || pixels != static_cast<int64_t>(image.pixels.size())) {
    return FieldError("image", absl::StrCat(image.width, "×", image.height, " with ",
                                            image.pixels.size(), " pixels"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<torch::Tensor> StackImages(absl::Span<const GrayImage> images, int height,
                                          int width) {
  const int64_t count = static_cast<int64_t>(images.size());
  torch::Tensor stack = torch::empty({count, 1, height, width}, torch::kUInt8);
  const size_t bytes = static_cast<size_t>(height) * width;
  for (size_t i = 0; i < images.size(); ++i) {
    if (const absl::Status status = CheckImage(images[i]); !status.ok()) {
      return Annotate(status, absl::StrCat("images[", i, "]"));
    }
    const GrayImage resized = ResizeGray(images[i], height, width);
    std::memcpy(stack.data_ptr<uint8_t>() + i * bytes, resized.pixels.data(), bytes);
  }
  return stack;
}

absl::StatusOr<OcrDataset> BuildDataset(absl::Span<const OcrExample> examples,
                                        const std::vector<bool>& usable, const Alphabet& alphabet,
                                        int positions, int height, int width) {
  OcrDataset set;
  const int64_t count = static_cast<int64_t>(examples.size());
  const size_t bytes = static_cast<size_t>(height) * width;
  set.images = torch::empty({count, 1, height, width}, torch::kUInt8);
  set.targets = torch::zeros({count, positions}, torch::kInt64);
  set.lengths = torch::zeros({count}, torch::kInt64);
  set.weights = torch::zeros({count}, torch::kFloat32);
  double train_weight = 0;
  for (int64_t i = 0; i < count; ++i) {
    const OcrExample& example = examples[i];
    const std::string where = absl::StrCat("examples[", i, "] (", example.id, ")");
    if (const auto status = CheckImage(example.image); !status.ok()) return Annotate(status, where);
    if (!std::isfinite(example.weight) || example.weight < 0) {
      return Annotate(FieldError("weight", "must be finite and at least 0"), where);
    }
    const GrayImage resized = ResizeGray(example.image, height, width);
    std::memcpy(set.images.data_ptr<uint8_t>() + i * bytes, resized.pixels.data(), bytes);
    set.texts.push_back(example.text);
    if (!usable[i]) continue;
    set.weights.data_ptr<float>()[i] = static_cast<float>(example.weight);
    auto* rows = example.split == Split::kTrain        ? &set.train
                 : example.split == Split::kValidation ? &set.validation
                                                       : &set.test;
    auto classes = alphabet.Encode(example.text, positions);
    if (!classes.ok() && rows == &set.train) return Annotate(classes.status(), where);
    if (classes.ok()) {
      std::copy(classes->begin(), classes->end(), set.targets.data_ptr<int64_t>() + i * positions);
      set.lengths.data_ptr<int64_t>()[i] =
          positions - std::count(classes->begin(), classes->end(), kBlank);
    }
    rows->push_back(i);
    if (rows == &set.train) train_weight += example.weight;
  }
  if (set.train.empty() || train_weight <= 0) {
    return FieldError("examples", "no training example with a positive weight");
  }
  set.weights.mul_(static_cast<double>(set.train.size()) / train_weight);
  return set;
}

std::string DigestOfExamples(absl::Span<const OcrExample> examples) {
  Sha256 digest;
  for (const OcrExample& example : examples) {
    digest.Update(absl::StrCat(example.id.size(), ":", example.id, example.text.size(), ":",
                               example.text, absl::Hex(absl::bit_cast<uint64_t>(example.weight)),
                               ",", static_cast<int>(example.split), ",", example.image.width, ",",
                               example.image.height, ";"));
    digest.Update(absl::string_view(reinterpret_cast<const char*>(example.image.pixels.data()),
                                    example.image.pixels.size()));
  }
  return digest.FinishHex();
}

std::vector<int64_t> ShuffledRows(const std::vector<int64_t>& rows, uint64_t seed, uint32_t epoch) {
  std::vector<int64_t> order = rows;
  PhiloxStream stream(seed, epoch, 0, kShufflePurpose);
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[stream.Below(static_cast<uint32_t>(i))]);
  }
  return order;
}

torch::Tensor NormaliseImages(const torch::Tensor& images) {
  const torch::Tensor values = images.to(torch::kFloat32);
  const torch::Tensor centred = values - values.mean({1, 2, 3}, /*keepdim=*/true);
  const torch::Tensor deviation = centred.square().mean({1, 2, 3}, /*keepdim=*/true).sqrt();
  return centred / (deviation + 1.0);
}

}  // namespace fairlead::trainer
