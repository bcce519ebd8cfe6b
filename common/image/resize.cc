#include "common/image/resize.h"

#include <algorithm>
#include <cmath>

namespace fairlead {
namespace {

// Weights of the input samples that make one output sample.
struct Taps {
  int first = 0;
  std::vector<float> weights;
};

std::vector<Taps> MakeTaps(int in, int out) {
  std::vector<Taps> all(out);
  const double scale = static_cast<double>(in) / out;
  const double support = std::max(scale, 1.0);  // The triangle filter's half width.
  for (int o = 0; o < out; ++o) {
    const double centre = (o + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(std::floor(centre - support)));
    const int last = std::min(in - 1, static_cast<int>(std::ceil(centre + support)));
    Taps& taps = all[o];
    taps.first = first;
    double sum = 0;
    for (int i = first; i <= last; ++i) {
      const double weight = std::max(0.0, 1.0 - std::abs((i + 0.5 - centre) / support));
      taps.weights.push_back(static_cast<float>(weight));
      sum += weight;
    }
    for (float& weight : taps.weights) weight = static_cast<float>(weight / sum);
  }
  return all;
}

}  // namespace

GrayImage ResizeGray(const GrayImage& image, int height, int width) {
  if (image.width == width && image.height == height) return image;
  const std::vector<Taps> columns = MakeTaps(image.width, width);
  const std::vector<Taps> rows = MakeTaps(image.height, height);
  std::vector<float> narrowed(static_cast<size_t>(image.height) * width);
  for (int y = 0; y < image.height; ++y) {
    const uint8_t* line = image.pixels.data() + static_cast<size_t>(y) * image.width;
    for (int x = 0; x < width; ++x) {
      float sum = 0;
      for (size_t i = 0; i < columns[x].weights.size(); ++i) {
        sum += columns[x].weights[i] * line[columns[x].first + i];
      }
      narrowed[static_cast<size_t>(y) * width + x] = sum;
    }
  }
  GrayImage result{width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height)};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      float sum = 0;
      for (size_t i = 0; i < rows[y].weights.size(); ++i) {
        sum += rows[y].weights[i] * narrowed[(rows[y].first + i) * width + x];
      }
      result.pixels[static_cast<size_t>(y) * width + x] =
          static_cast<uint8_t>(std::clamp(sum + 0.5f, 0.0f, 255.0f));
    }
  }
  return result;
}

}  // namespace fairlead
