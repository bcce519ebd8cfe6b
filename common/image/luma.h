// ITU-R BT.601 luma in integers.
#pragma once

#include <cstdint>

namespace fairlead {

// 0.299 R + 0.587 G + 0.114 B, rounded; each in 0–255.
inline uint8_t Luma(uint32_t red, uint32_t green, uint32_t blue) {
  return static_cast<uint8_t>((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16);
}

}  // namespace fairlead
