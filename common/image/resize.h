// Brings images to one size.
#pragma once

#include "common/image/image.h"

namespace fairlead {

// Bilinear when growing, area-weighted when shrinking; the ratio of the sides is not kept. All
// sizes at least 1. The same bits everywhere. O(pixels of the image + of the result).
GrayImage ResizeGray(const GrayImage& image, int height, int width);

}  // namespace fairlead
