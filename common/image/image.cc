#include "common/image/image.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/image/jpeg_codec.h"
#include "common/image/png_codec.h"

namespace fairlead {
namespace {

constexpr absl::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);
constexpr absl::string_view kJpegSignature("\xFF\xD8\xFF", 3);

absl::Status ImageError(absl::string_view reason, absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, reason, message);
}

// Big-endian reads; the caller has checked the bounds.
uint32_t Read16(absl::string_view bytes, size_t at) {
  return (static_cast<uint32_t>(static_cast<uint8_t>(bytes[at])) << 8) |
         static_cast<uint8_t>(bytes[at + 1]);
}
uint32_t Read32(absl::string_view bytes, size_t at) {
  return (Read16(bytes, at) << 16) | Read16(bytes, at + 2);
}

struct Size {
  uint32_t width = 0;
  uint32_t height = 0;
};

// PNG specification, section 11.2.2: IHDR is the first chunk and begins with width and height.
absl::StatusOr<Size> ReadPngSize(absl::string_view bytes) {
  if (bytes.size() < 33) {
    return ImageError("IMAGE_CORRUPT", absl::StrCat("the PNG ends after ", bytes.size(),
                                                    " bytes, inside its header"));
  }
  if (bytes.substr(12, 4) != "IHDR") {
    return ImageError("IMAGE_CORRUPT", "the PNG does not begin with an IHDR chunk");
  }
  return Size{Read32(bytes, 16), Read32(bytes, 20)};
}

bool IsStandaloneMarker(uint8_t marker) {
  return marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8);
}

// SOF0 … SOF15 without DHT (C4), JPG (C8) and DAC (CC): ITU-T T.81, table B.1.
bool IsFrameMarker(uint8_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

absl::StatusOr<Size> ReadJpegSize(absl::string_view bytes) {
  size_t at = 2;
  while (true) {
    while (at < bytes.size() && static_cast<uint8_t>(bytes[at]) != 0xFF) ++at;
    while (at < bytes.size() && static_cast<uint8_t>(bytes[at]) == 0xFF) ++at;
    if (at >= bytes.size()) break;
    const uint8_t marker = static_cast<uint8_t>(bytes[at++]);
    if (marker == 0 || IsStandaloneMarker(marker)) continue;
    if (marker == 0xD9 || marker == 0xDA) break;  // End of image, or a scan before any frame.
    if (at + 2 > bytes.size()) break;
    if (IsFrameMarker(marker)) {
      if (at + 7 > bytes.size()) break;
      return Size{Read16(bytes, at + 5), Read16(bytes, at + 3)};
    }
    at += std::max<uint32_t>(2, Read16(bytes, at));
  }
  return ImageError("IMAGE_CORRUPT",
                    absl::StrCat("the JPEG has no frame header in its ", bytes.size(), " bytes"));
}

absl::Status CheckLimits(const Size& size, const ImageLimits& limits) {
  if (size.width == 0 || size.height == 0) {
    return ImageError("IMAGE_CORRUPT",
                      absl::StrCat("the header says ", size.width, " x ", size.height, " pixels"));
  }
  if (std::max(size.width, size.height) > static_cast<uint32_t>(limits.max_side)) {
    return ImageError("IMAGE_TOO_LARGE",
                      absl::StrCat("the image has ", size.width, " x ", size.height,
                                   " pixels; a side may have at most ", limits.max_side));
  }
  const int64_t pixels = static_cast<int64_t>(size.width) * size.height;
  if (pixels > limits.max_pixels) {
    return ImageError("IMAGE_TOO_LARGE",
                      absl::StrCat("the image has ", size.width, " x ", size.height, " = ", pixels,
                                   " pixels; at most ", limits.max_pixels, " are taken"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ImageHeader> ReadImageHeader(absl::string_view bytes, const ImageLimits& limits) {
  if (bytes.empty()) return ImageError("IMAGE_EMPTY", "the image has 0 bytes");
  if (static_cast<int64_t>(bytes.size()) > limits.max_bytes) {
    return ImageError("IMAGE_TOO_LARGE",
                      absl::StrCat("the image has ", bytes.size(), " bytes; at most ",
                                   limits.max_bytes, " are taken"));
  }
  ImageHeader header;
  Size size;
  if (bytes.substr(0, kPngSignature.size()) == kPngSignature) {
    header.format = ImageFormat::kPng;
    ASSIGN_OR_RETURN(size, ReadPngSize(bytes));
  } else if (bytes.substr(0, kJpegSignature.size()) == kJpegSignature) {
    header.format = ImageFormat::kJpeg;
    ASSIGN_OR_RETURN(size, ReadJpegSize(bytes));
  } else {
    return ImageError("IMAGE_FORMAT",
                      absl::StrCat("the ", bytes.size(), " bytes are neither a PNG nor a JPEG"));
  }
  RETURN_IF_ERROR(CheckLimits(size, limits));
  header.width = static_cast<int32_t>(size.width);
  header.height = static_cast<int32_t>(size.height);
  return header;
}

absl::StatusOr<GrayImage> DecodeGray(absl::string_view bytes, const ImageLimits& limits) {
  ASSIGN_OR_RETURN(const ImageHeader header, ReadImageHeader(bytes, limits));
  GrayImage image;
  image.width = header.width;
  image.height = header.height;
  image.pixels.resize(static_cast<size_t>(header.width) * header.height);
  const absl::Status decoded = header.format == ImageFormat::kPng ? DecodePngGray(bytes, &image)
                                                                  : DecodeJpegGray(bytes, &image);
  RETURN_IF_ERROR(decoded);
  return image;
}

absl::StatusOr<std::string> EncodePng(const GrayImage& image) {
  if (image.width <= 0 || image.height <= 0) {
    return ImageError("IMAGE_EMPTY", absl::StrCat("an image of ", image.width, " x ", image.height,
                                                  " pixels cannot be encoded"));
  }
  if (image.pixels.size() != static_cast<size_t>(image.width) * image.height) {
    return ImageError("IMAGE_CORRUPT",
                      absl::StrCat("an image of ", image.width, " x ", image.height, " has ",
                                   image.pixels.size(), " pixels"));
  }
  return EncodePngGray(image);
}

}  // namespace fairlead
