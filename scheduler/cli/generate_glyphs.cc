#include "scheduler/cli/generate_glyphs.h"

#include <ft2build.h>

#include FT_FREETYPE_H
#include FT_OUTLINE_H

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"

namespace fairlead {
namespace {

constexpr const char* kFontRoot = "/usr/share/fonts";
constexpr const char* kFirstFont = "DejaVuSans.ttf";
constexpr const char* kSisterFonts[] = {"DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf",
                                        "DejaVuSerif.ttf"};

absl::Status FontMissing(absl::string_view what) {
  return Error(absl::StatusCode::kFailedPrecondition, "FONT_MISSING",
               absl::StrCat(what, "; install the package fonts-dejavu-core or name a font file"));
}

FT_Fixed Fixed(double value) { return static_cast<FT_Fixed>(std::lround(value * 65536)); }

// Rotation after shear.
FT_Matrix MatrixOf(const GlyphStyle& style) {
  const double angle = style.degrees * 3.14159265358979323846 / 180;
  const double c = std::cos(angle);
  const double s = std::sin(angle);
  FT_Matrix matrix;
  matrix.xx = Fixed(c);
  matrix.xy = Fixed(c * style.shear - s);
  matrix.yx = Fixed(s);
  matrix.yy = Fixed(s * style.shear + c);
  return matrix;
}

class FreeTypeGlyphs final : public GlyphSource {
 public:
  FreeTypeGlyphs() = default;
  ~FreeTypeGlyphs() override {
    for (FT_Face face : faces_) FT_Done_Face(face);
    if (library_ != nullptr) FT_Done_FreeType(library_);
  }
  FreeTypeGlyphs(const FreeTypeGlyphs&) = delete;
  FreeTypeGlyphs& operator=(const FreeTypeGlyphs&) = delete;

  absl::Status Load(const std::vector<std::string>& paths) {
    if (FT_Init_FreeType(&library_) != 0) return absl::InternalError("FreeType does not start");
    for (const std::string& path : paths) {
      FT_Face face = nullptr;
      if (FT_New_Face(library_, path.c_str(), 0, &face) != 0) {
        return FontMissing(absl::StrCat("cannot read the font ", path));
      }
      faces_.push_back(face);
      if (!FT_IS_SCALABLE(face)) return FontMissing(absl::StrCat(path, " has no outlines"));
    }
    return absl::OkStatus();
  }

  int fonts() const override { return static_cast<int>(faces_.size()); }

  absl::StatusOr<Glyph> Draw(uint32_t code_point, const GlyphStyle& style) override {
    FT_Face face = faces_[style.font];
    const FT_UInt index = FT_Get_Char_Index(face, code_point);
    if (index == 0) return NoInk(code_point, "is not in the font");
    const auto size = static_cast<FT_F26Dot6>(std::max(1.0, style.size) * 64);
    FT_Matrix matrix = MatrixOf(style);
    if (FT_Set_Char_Size(face, 0, size, 72, 72) != 0 ||
        FT_Load_Glyph(face, index, FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP) != 0) {
      return NoInk(code_point, "cannot be loaded from the font");
    }
    FT_Outline_Transform(&face->glyph->outline, &matrix);
    if (FT_Render_Glyph(face->glyph, FT_RENDER_MODE_NORMAL) != 0) {
      return NoInk(code_point, "cannot be drawn");
    }
    const FT_Bitmap& bitmap = face->glyph->bitmap;
    if (bitmap.width == 0 || bitmap.rows == 0) return NoInk(code_point, "leaves no ink");
    Glyph glyph;
    glyph.width = static_cast<int>(bitmap.width);
    glyph.height = static_cast<int>(bitmap.rows);
    glyph.coverage.reserve(static_cast<size_t>(glyph.width) * glyph.height);
    for (int y = 0; y < glyph.height; ++y) {
      const uint8_t* row = bitmap.buffer + static_cast<ptrdiff_t>(y) * bitmap.pitch;
      glyph.coverage.insert(glyph.coverage.end(), row, row + glyph.width);
    }
    return glyph;
  }

 private:
  static absl::Status NoInk(uint32_t code_point, absl::string_view problem) {
    return FieldError("alphabet", absl::StrFormat("the character U+%04X %s", code_point, problem));
  }

  FT_Library library_ = nullptr;
  std::vector<FT_Face> faces_;
};

// The first file of that name in the tree, by path; "" when there is none.
std::string FindFile(const std::string& root, const std::string& name) {
  std::string first;
  std::error_code error;
  std::filesystem::recursive_directory_iterator entry(
      root, std::filesystem::directory_options::skip_permission_denied, error);
  for (; !error && entry != std::filesystem::recursive_directory_iterator();
       entry.increment(error)) {
    const std::string path = entry->path().string();
    if (entry->path().filename() == name && (first.empty() || path < first)) first = path;
  }
  return first;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GlyphSource>> GlyphSource::Open(
    const std::vector<std::string>& paths) {
  auto source = std::make_unique<FreeTypeGlyphs>();
  RETURN_IF_ERROR(source->Load(paths));
  return source;
}

absl::StatusOr<std::vector<std::string>> FindFonts(const std::string& wanted, bool several) {
  if (!wanted.empty()) return std::vector<std::string>{wanted};
  const std::string first = FindFile(kFontRoot, kFirstFont);
  if (first.empty()) {
    return FontMissing(absl::StrCat("there is no ", kFirstFont, " under ", kFontRoot));
  }
  std::vector<std::string> fonts = {first};
  if (!several) return fonts;
  for (const char* sister : kSisterFonts) {
    const std::string path = (std::filesystem::path(first).parent_path() / sister).string();
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) fonts.push_back(path);
  }
  return fonts;
}

}  // namespace fairlead
