// Letters as ink: FreeType outlines, turned and sheared, rendered to coverage.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace fairlead {

// The drawn part of one letter, cropped; coverage 0–255, row-major.
struct Glyph {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> coverage;
};

struct GlyphStyle {
  int font = 0;        // Below GlyphSource::fonts().
  double size = 18;    // Pixels an em.
  double degrees = 0;  // Counter-clockwise.
  double shear = 0;    // Horizontal, as a part of the height.
};

// Not thread-safe.
class GlyphSource {
 public:
  // FAILED_PRECONDITION with reason FONT_MISSING when a file is missing or is no font.
  static absl::StatusOr<std::unique_ptr<GlyphSource>> Open(const std::vector<std::string>& paths);
  virtual ~GlyphSource() = default;

  virtual int fonts() const = 0;
  // INVALID_ARGUMENT when the font has no such letter or the letter leaves no ink.
  virtual absl::StatusOr<Glyph> Draw(uint32_t code_point, const GlyphStyle& style) = 0;
};

// The font files to draw with: `wanted`, or DejaVu Sans first and, if `several`, its sisters.
// FAILED_PRECONDITION with reason FONT_MISSING when there is none.
absl::StatusOr<std::vector<std::string>> FindFonts(const std::string& wanted, bool several);

}  // namespace fairlead
