// Draws numbers like those of a well-kept portal: one font, slight rotation and jitter, one thin
// line, mild noise. The same seed draws the same images.
#pragma once

#include <ft2build.h>
#include FT_FREETYPE_H

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "common/base/log.h"
#include "common/base/philox.h"
#include "trainer/train.h"

namespace fairlead::trainer {

class PortalImages {
 public:
  explicit PortalImages(uint64_t seed) : stream_(seed, 0, 0, 0x9047) {
    FAIRLEAD_CHECK(FT_Init_FreeType(&library_) == 0);
    FAIRLEAD_CHECK(
        FT_New_Face(library_, "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", 0, &face_) == 0)
        << "the DejaVu font is missing";
  }
  ~PortalImages() { FT_Done_FreeType(library_); }
  PortalImages(const PortalImages&) = delete;
  PortalImages& operator=(const PortalImages&) = delete;

  OcrExample Draw(int shortest, int longest, Split split) {
    OcrExample example;
    example.split = split;
    example.id = std::to_string(count_++);
    GrayImage& image = example.image;
    image.width = 128;
    image.height = 32;
    const double paper = stream_.Uniform(215, 255);
    std::vector<double> pixels(128 * 32, paper);
    const int length = shortest + static_cast<int>(stream_.Below(longest - shortest + 1));
    int x = 2 + static_cast<int>(stream_.Below(15));
    for (int i = 0; i < length; ++i) {
      const char digit = static_cast<char>('0' + stream_.Below(10));
      example.text += digit;
      x += DrawGlyph(digit, x, pixels) + 1 + static_cast<int>(stream_.Below(5));
    }
    const double from = stream_.Uniform(0, 32), to = stream_.Uniform(0, 32);
    const double ink = stream_.Uniform(60, 160);
    for (int column = 0; column < 128; ++column) {
      const int y = static_cast<int>(from + (to - from) * column / 128);
      pixels[y * 128 + column] = ink;
    }
    const double noise = stream_.Uniform(3, 12);
    for (const double value : pixels) {
      image.pixels.push_back(
          static_cast<uint8_t>(std::clamp(value + noise * stream_.Normal(), 0.0, 255.0)));
    }
    return example;
  }

  std::vector<OcrExample> DrawMany(int count, int shortest, int longest, Split split) {
    std::vector<OcrExample> examples;
    for (int i = 0; i < count; ++i) examples.push_back(Draw(shortest, longest, split));
    return examples;
  }

 private:
  // Returns the glyph's width in pixels.
  int DrawGlyph(char character, int left, std::vector<double>& pixels) {
    FT_Set_Pixel_Sizes(face_, 0, 18 + stream_.Below(4));
    const double angle = stream_.Uniform(-10, 10) * 3.14159265358979 / 180;
    FT_Matrix matrix;
    matrix.xx = matrix.yy = static_cast<FT_Fixed>(std::cos(angle) * 0x10000);
    matrix.yx = static_cast<FT_Fixed>(std::sin(angle) * 0x10000);
    matrix.xy = -matrix.yx;
    FT_Set_Transform(face_, &matrix, nullptr);
    FAIRLEAD_CHECK(FT_Load_Char(face_, character, FT_LOAD_RENDER) == 0);
    const FT_Bitmap& bitmap = face_->glyph->bitmap;
    const int width = static_cast<int>(bitmap.width), height = static_cast<int>(bitmap.rows);
    const int top = 2 + static_cast<int>(stream_.Below(std::max(1, 32 - height - 4)));
    const double ink = stream_.Uniform(0, 80);
    for (int row = 0; row < height; ++row) {
      for (int column = 0; column < width; ++column) {
        if (left + column >= 128 || top + row >= 32) continue;
        const double cover = bitmap.buffer[row * bitmap.pitch + column] / 255.0;
        double& pixel = pixels[(top + row) * 128 + left + column];
        pixel = pixel * (1 - cover) + ink * cover;
      }
    }
    return width;
  }

  PhiloxStream stream_;
  FT_Library library_ = nullptr;
  FT_Face face_ = nullptr;
  int count_ = 0;
};

}  // namespace fairlead::trainer
