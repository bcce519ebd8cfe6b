#include "common/image/jpeg_codec.h"

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

// libjpeg's header needs size_t and FILE before it.
#include <jpeglib.h>

#include <jerror.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/image/luma.h"

namespace fairlead {
namespace {

// As in png_codec.cc: whatever may leave by longjmp runs in frames of plain values only.

constexpr int kMaxScans = 200;  // More scans than this only serve to burn the reader's time.

struct Failure {
  jpeg_error_mgr base;  // First: libjpeg hands back a pointer to it.
  std::jmp_buf leave;
  char message[JMSG_LENGTH_MAX] = "";
};

[[noreturn]] void Leave(j_common_ptr jpeg) {
  auto* failure = reinterpret_cast<Failure*>(jpeg->err);
  failure->base.format_message(jpeg, failure->message);
  std::longjmp(failure->leave, 1);
}

// Harmless oddities of real encoders; every other warning means that pixels were made up.
bool IsHarmless(int code) {
  return code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM;
}

void OnMessage(j_common_ptr jpeg, int level) {
  if (level < 0 && !IsHarmless(jpeg->err->msg_code)) Leave(jpeg);
}

void OnProgress(j_common_ptr jpeg) {
  auto* decompress = reinterpret_cast<j_decompress_ptr>(jpeg);
  if (decompress->input_scan_number > kMaxScans) {
    auto* failure = reinterpret_cast<Failure*>(jpeg->err);
    std::snprintf(failure->message, sizeof(failure->message), "more than %d scans", kMaxScans);
    std::longjmp(failure->leave, 1);
  }
}

class JpegReader {
 public:
  JpegReader() {
    jpeg_.err = jpeg_std_error(&failure_.base);
    failure_.base.error_exit = Leave;
    failure_.base.emit_message = OnMessage;
    progress_.progress_monitor = OnProgress;
  }
  ~JpegReader() {
    if (created_) jpeg_destroy_decompress(&jpeg_);
  }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  const char* message() const { return failure_.message; }
  int channels() const { return jpeg_.output_components; }
  uint32_t width() const { return jpeg_.output_width; }
  uint32_t height() const { return jpeg_.output_height; }
  // Adobe's encoders store CMYK inverted and say so by their marker.
  bool inverted_cmyk() const { return jpeg_.saw_Adobe_marker; }

  bool Start(const char* bytes, size_t size) {
    if (setjmp(failure_.leave)) return false;
    jpeg_create_decompress(&jpeg_);
    created_ = true;
    jpeg_.progress = &progress_;
    jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(bytes), size);
    jpeg_read_header(&jpeg_, TRUE);
    jpeg_.out_color_space = jpeg_.num_components == 4 ? JCS_CMYK : JCS_GRAYSCALE;
    jpeg_.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&jpeg_);
    return true;
  }

  bool ReadRow(uint8_t* row) {
    if (setjmp(failure_.leave)) return false;
    JSAMPROW rows[1] = {row};
    return jpeg_read_scanlines(&jpeg_, rows, 1) == 1;
  }

  // To the end-of-image marker.
  bool Finish() {
    if (setjmp(failure_.leave)) return false;
    return jpeg_finish_decompress(&jpeg_) == TRUE;
  }

 private:
  Failure failure_;
  jpeg_progress_mgr progress_ = {};
  jpeg_decompress_struct jpeg_ = {};
  bool created_ = false;
};

uint8_t GrayOfCmyk(const uint8_t* pixel, bool inverted) {
  uint32_t light[4];  // How much light each ink lets through.
  for (int i = 0; i < 4; ++i) light[i] = inverted ? pixel[i] : 255 - pixel[i];
  return Luma(light[0] * light[3] / 255, light[1] * light[3] / 255, light[2] * light[3] / 255);
}

absl::Status Corrupt(absl::string_view what) {
  return Error(absl::StatusCode::kInvalidArgument, "IMAGE_CORRUPT",
               absl::StrCat("the JPEG is truncated or damaged: ", what));
}

}  // namespace

absl::Status DecodeJpegGray(absl::string_view bytes, GrayImage* image) {
  JpegReader reader;
  if (!reader.Start(bytes.data(), bytes.size())) return Corrupt(reader.message());
  const int channels = reader.channels();
  if (reader.width() != static_cast<uint32_t>(image->width) ||
      reader.height() != static_cast<uint32_t>(image->height) || (channels != 1 && channels != 4)) {
    return Corrupt("two frame headers disagree");
  }
  std::vector<uint8_t> row(static_cast<size_t>(image->width) * channels);
  for (int32_t y = 0; y < image->height; ++y) {
    if (!reader.ReadRow(row.data())) return Corrupt(reader.message());
    uint8_t* out = image->pixels.data() + static_cast<size_t>(y) * image->width;
    for (int32_t x = 0; x < image->width; ++x) {
      out[x] = channels == 1 ? row[x] : GrayOfCmyk(&row[4 * x], reader.inverted_cmyk());
    }
  }
  if (!reader.Finish()) return Corrupt(reader.message());
  return absl::OkStatus();
}

}  // namespace fairlead
