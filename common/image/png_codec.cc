#include "common/image/png_codec.h"

#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/image/luma.h"

namespace fairlead {
namespace {

// libpng leaves by longjmp, which must not skip a destructor. So each step that may leave is a
// function whose frame holds only plain values, and what owns memory lives in the caller's frame.

constexpr size_t kMaxAncillaryBytes = 4
                                      << 20;  // A text or colour chunk may not unpack beyond this.

struct PngFailure {
  char message[128] = "";
};

[[noreturn]] void OnError(png_structp png, png_const_charp message) {
  auto* failure = static_cast<PngFailure*>(png_get_error_ptr(png));
  std::snprintf(failure->message, sizeof(failure->message), "%s", message);
  png_longjmp(png, 1);
}

void OnWarning(png_structp, png_const_charp) {}

absl::Status Corrupt(const PngFailure& failure) {
  return Error(absl::StatusCode::kInvalidArgument, "IMAGE_CORRUPT",
               absl::StrCat("the PNG is truncated or damaged: ", failure.message));
}

struct Source {
  const char* bytes = nullptr;
  size_t size = 0;
  size_t at = 0;
};

void ReadSource(png_structp png, png_bytep out, size_t count) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (count > source->size - source->at) png_error(png, "the file ends too early");
  std::memcpy(out, source->bytes + source->at, count);
  source->at += count;
}

class PngReader {
 public:
  explicit PngReader(absl::string_view bytes) {
    source_.bytes = bytes.data();
    source_.size = bytes.size();
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &failure_, OnError, OnWarning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  bool ready() const { return png_ != nullptr && info_ != nullptr; }
  const PngFailure& failure() const { return failure_; }
  int channels() const { return png_get_channels(png_, info_); }
  size_t row_bytes() const { return png_get_rowbytes(png_, info_); }
  uint32_t width() const { return png_get_image_width(png_, info_); }
  uint32_t height() const { return png_get_image_height(png_, info_); }

  // After it, rows are 8-bit gray, gray + alpha, RGB or RGBA.
  bool ReadHeader() {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_read_fn(png_, &source_, ReadSource);
    png_set_chunk_malloc_max(png_, kMaxAncillaryBytes);
    png_read_info(png_, info_);
    png_set_expand(png_);
    png_set_scale_16(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  // To the end of the file, so that a missing end chunk is seen.
  bool ReadRows(png_bytepp rows) {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

 private:
  PngFailure failure_;
  Source source_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

uint8_t OverWhite(uint32_t value, uint32_t alpha) {
  return static_cast<uint8_t>((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

uint8_t GrayOf(const uint8_t* pixel, int channels) {
  switch (channels) {
    case 1:
      return pixel[0];
    case 2:
      return OverWhite(pixel[0], pixel[1]);
    case 3:
      return Luma(pixel[0], pixel[1], pixel[2]);
    default:
      return OverWhite(Luma(pixel[0], pixel[1], pixel[2]), pixel[3]);
  }
}

void AppendBytes(png_structp png, png_bytep bytes, size_t count) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<char*>(bytes), count);
}

void NoFlush(png_structp) {}

bool WriteAll(png_structp png, png_infop info, const GrayImage* image, std::string* out) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_write_fn(png, out, AppendBytes, NoFlush);
  png_set_IHDR(png, info, static_cast<png_uint_32>(image->width),
               static_cast<png_uint_32>(image->height), 8, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (int32_t y = 0; y < image->height; ++y) {
    png_write_row(png, image->pixels.data() + static_cast<size_t>(y) * image->width);
  }
  png_write_end(png, info);
  return true;
}

}  // namespace

absl::Status DecodePngGray(absl::string_view bytes, GrayImage* image) {
  PngReader reader(bytes);
  if (!reader.ready()) return absl::ResourceExhaustedError("libpng has no memory to begin with");
  if (!reader.ReadHeader()) return Corrupt(reader.failure());
  const int channels = reader.channels();
  if (reader.width() != static_cast<uint32_t>(image->width) ||
      reader.height() != static_cast<uint32_t>(image->height) ||
      reader.row_bytes() != static_cast<size_t>(image->width) * channels) {
    return Error(absl::StatusCode::kInvalidArgument, "IMAGE_CORRUPT",
                 "the PNG's rows do not have the size its header tells");
  }
  std::vector<uint8_t> buffer(reader.row_bytes() * image->height);
  std::vector<png_bytep> rows(image->height);
  for (int32_t y = 0; y < image->height; ++y) rows[y] = buffer.data() + y * reader.row_bytes();
  if (!reader.ReadRows(rows.data())) return Corrupt(reader.failure());
  for (size_t i = 0; i < image->pixels.size(); ++i) {
    image->pixels[i] = GrayOf(buffer.data() + i * channels, channels);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> EncodePngGray(const GrayImage& image) {
  PngFailure failure;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &failure, OnError, OnWarning);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  if (info == nullptr) {
    png_destroy_write_struct(&png, nullptr);
    return absl::ResourceExhaustedError("libpng has no memory to begin with");
  }
  std::string out;
  const bool written = WriteAll(png, info, &image, &out);
  png_destroy_write_struct(&png, &info);
  if (!written) {
    return Error(absl::StatusCode::kInvalidArgument, "IMAGE_CORRUPT",
                 absl::StrCat("the image cannot be written as PNG: ", failure.message));
  }
  return out;
}

}  // namespace fairlead
