// JPEG by libjpeg. Only image.cc calls this, after it has checked header and limits.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/image/image.h"

namespace fairlead {

// Fills image->pixels, which has the size that the file's header told. INVALID_ARGUMENT with reason
// IMAGE_CORRUPT when the file is damaged or ends early; libjpeg by itself would only warn and fill
// the rest with gray. Thread-safe.
absl::Status DecodeJpegGray(absl::string_view bytes, GrayImage* image);

}  // namespace fairlead
