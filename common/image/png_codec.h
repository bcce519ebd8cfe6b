// PNG by libpng. Only image.cc calls this, after it has checked header and limits.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/image/image.h"

namespace fairlead {

// Fills image->pixels, which has the size that the file's header told. INVALID_ARGUMENT with reason
// IMAGE_CORRUPT when the file does not decode to its end. Thread-safe.
absl::Status DecodePngGray(absl::string_view bytes, GrayImage* image);

// `image` is not empty and its sizes agree.
absl::StatusOr<std::string> EncodePngGray(const GrayImage& image);

}  // namespace fairlead
