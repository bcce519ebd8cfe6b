// Decodes images that strangers sent. Bytes and pixels are bounded before a single pixel is
// decoded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fairlead {

struct ImageLimits {
  int64_t max_bytes = 16 << 20;
  int64_t max_pixels = 16 << 20;  // width × height.
  int32_t max_side = 16384;
};

enum class ImageFormat { kPng, kJpeg };

struct ImageHeader {
  ImageFormat format = ImageFormat::kPng;
  int32_t width = 0;
  int32_t height = 0;
};

// 8-bit gray, row-major, no padding: pixels.size() == width × height.
struct GrayImage {
  int32_t width = 0;
  int32_t height = 0;
  std::vector<uint8_t> pixels;
};

// Reads format and size only. INVALID_ARGUMENT (reason IMAGE_…, see ReasonOf) when the bytes are
// empty, no PNG or JPEG whatever the file's name, or beyond the limits; the message says which and
// gives the numbers.
absl::StatusOr<ImageHeader> ReadImageHeader(absl::string_view bytes,
                                            const ImageLimits& limits = {});

// Decodes to gray (ITU-R BT.601 luma; alpha over white). Besides the errors above: INVALID_ARGUMENT
// with reason IMAGE_CORRUPT for a truncated or damaged file. Thread-safe. O(pixels).
absl::StatusOr<GrayImage> DecodeGray(absl::string_view bytes, const ImageLimits& limits = {});

// Encodes as 8-bit gray PNG.
absl::StatusOr<std::string> EncodePng(const GrayImage& image);

}  // namespace fairlead
