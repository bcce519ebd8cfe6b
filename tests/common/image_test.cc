#include "common/image/image.h"

#include <gtest/gtest.h>
#include <png.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

// libjpeg's header needs size_t and FILE before it.
#include <jpeglib.h>

#include "absl/strings/match.h"
#include "common/base/status.h"
#include "common/image/luma.h"

namespace fairlead {
namespace {

struct PngKind {
  int color_type;
  int bit_depth;
  int interlace;
};

void AppendBytes(png_structp png, png_bytep bytes, size_t count) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<char*>(bytes), count);
}

// A PNG of `rows`, written as libpng is told by `kind`; palette entry i is (i, 2i, 255 - i).
std::string WritePng(const PngKind& kind, int width, std::vector<std::vector<uint8_t>> rows) {
  std::string out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &out, AppendBytes, nullptr);
  png_set_IHDR(png, info, width, rows.size(), kind.bit_depth, kind.color_type, kind.interlace,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  std::vector<png_color> palette(100);
  for (int i = 0; i < 100; ++i) {
    palette[i].red = static_cast<png_byte>(i);
    palette[i].green = static_cast<png_byte>(2 * i);
    palette[i].blue = static_cast<png_byte>(255 - i);
  }
  if (kind.color_type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette.data(), 100);
  std::vector<png_bytep> pointers;
  for (auto& row : rows) pointers.push_back(row.data());
  png_set_rows(png, info, pointers.data());
  png_write_png(png, info, PNG_TRANSFORM_IDENTITY, nullptr);
  png_destroy_write_struct(&png, &info);
  return out;
}

// A JPEG of quality 95 whose every pixel has the given components.
std::string WriteJpeg(int width, int height, J_COLOR_SPACE space, std::vector<uint8_t> pixel,
                      bool progressive = false) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &buffer, &size);
  jpeg.image_width = width;
  jpeg.image_height = height;
  jpeg.input_components = static_cast<int>(pixel.size());
  jpeg.in_color_space = space;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 95, TRUE);
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  std::vector<uint8_t> row;
  for (int x = 0; x < width; ++x) row.insert(row.end(), pixel.begin(), pixel.end());
  JSAMPROW rows[1] = {row.data()};
  while (jpeg.next_scanline < jpeg.image_height) jpeg_write_scanlines(&jpeg, rows, 1);
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string out(reinterpret_cast<char*>(buffer), size);
  std::free(buffer);
  return out;
}

GrayImage Gradient(int width, int height) {
  GrayImage image{width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height)};
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<uint8_t>((i * 37 + i * i % 11) % 256);
  }
  return image;
}

std::string ReasonOfDecoding(absl::string_view bytes, const ImageLimits& limits = {}) {
  const auto image = DecodeGray(bytes, limits);
  EXPECT_FALSE(image.ok());
  EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument);
  return ReasonOf(image.status());
}

TEST(ImageTest, EncodesAndDecodesToTheSamePixels) {
  for (const auto& [width, height] : {std::pair{1, 1}, {128, 32}, {7, 300}}) {
    const GrayImage image = Gradient(width, height);
    const std::string png = EncodePng(image).value();
    const auto header = ReadImageHeader(png);
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->format, ImageFormat::kPng);
    EXPECT_EQ(header->width, width);
    EXPECT_EQ(header->height, height);
    EXPECT_EQ(DecodeGray(png).value().pixels, image.pixels);
  }
}

TEST(ImageTest, RefusesToEncodeWhatIsNoImage) {
  EXPECT_FALSE(EncodePng(GrayImage{}).ok());
  EXPECT_FALSE(EncodePng(GrayImage{2, 2, {1, 2, 3}}).ok());
}

TEST(ImageTest, DecodesEveryKindOfPng) {
  for (int interlace : {PNG_INTERLACE_NONE, PNG_INTERLACE_ADAM7}) {
    const auto decode = [&](int color_type, int depth, std::vector<uint8_t> row) {
      const PngKind kind{color_type, depth, interlace};
      const auto image = DecodeGray(WritePng(kind, 2, {row, row, row}));
      EXPECT_TRUE(image.ok()) << image.status();
      EXPECT_EQ(image->pixels.size(), 6u);
      EXPECT_EQ(image->pixels[0], image->pixels[4]);
      return std::pair<int, int>(image->pixels[4], image->pixels[5]);
    };
    EXPECT_EQ(decode(PNG_COLOR_TYPE_GRAY, 8, {9, 200}), std::pair(9, 200));
    EXPECT_EQ(decode(PNG_COLOR_TYPE_GRAY, 1, {0x40}), std::pair(0, 255));
    EXPECT_EQ(decode(PNG_COLOR_TYPE_GRAY, 16, {0x80, 0x80, 0xFF, 0xFF}), std::pair(128, 255));
    EXPECT_EQ(decode(PNG_COLOR_TYPE_GRAY_ALPHA, 8, {10, 255, 10, 0}), std::pair(10, 255));
    EXPECT_EQ(decode(PNG_COLOR_TYPE_RGB, 8, {255, 0, 0, 0, 255, 0}), std::pair(76, 150));
    EXPECT_EQ(decode(PNG_COLOR_TYPE_RGB_ALPHA, 8, {0, 0, 0, 255, 0, 0, 0, 51}), std::pair(0, 204));
    EXPECT_EQ(decode(PNG_COLOR_TYPE_PALETTE, 8, {50, 0}), std::pair(97, 29));
  }
}

TEST(ImageTest, DecodesGrayColourAndCmykJpeg) {
  for (bool progressive : {false, true}) {
    const auto decode = [&](J_COLOR_SPACE space, std::vector<uint8_t> pixel) {
      const std::string jpeg = WriteJpeg(33, 17, space, pixel, progressive);
      EXPECT_EQ(ReadImageHeader(jpeg)->format, ImageFormat::kJpeg);
      const auto image = DecodeGray(jpeg);
      EXPECT_TRUE(image.ok()) << image.status();
      EXPECT_EQ(image->width, 33);
      EXPECT_EQ(image->height, 17);
      return static_cast<int>(image->pixels[33 * 8 + 16]);
    };
    EXPECT_NEAR(decode(JCS_GRAYSCALE, {100}), 100, 2);
    EXPECT_NEAR(decode(JCS_RGB, {255, 0, 0}), 76, 3);
    // libjpeg marks CMYK as Adobe's, whose inks are stored inverted.
    EXPECT_NEAR(decode(JCS_CMYK, {255, 255, 255, 255}), 255, 3);
    EXPECT_NEAR(decode(JCS_CMYK, {255, 0, 0, 255}), 76, 3);
    EXPECT_NEAR(decode(JCS_CMYK, {255, 255, 255, 0}), 0, 3);
  }
}

TEST(ImageTest, RefusesWhatIsNoImageWhateverItsName) {
  EXPECT_EQ(ReasonOfDecoding(""), "IMAGE_EMPTY");
  EXPECT_EQ(ReasonOfDecoding("this is a text that somebody named scan.png\n"), "IMAGE_FORMAT");
  EXPECT_EQ(ReasonOfDecoding("GIF89a"), "IMAGE_FORMAT");
  EXPECT_EQ(ReasonOfDecoding("\x89PN"), "IMAGE_FORMAT");
}

TEST(ImageTest, RefusesAHugePngByItsHeaderAlone) {
  std::string png = EncodePng(Gradient(8, 8)).value();
  for (int side : {16, 20}) {  // 30,000 = 0x7530, big-endian.
    png[side + 2] = '\x75';
    png[side + 3] = '\x30';
  }
  const auto image = DecodeGray(png);
  EXPECT_EQ(ReasonOf(image.status()), "IMAGE_TOO_LARGE");
  EXPECT_TRUE(absl::StrContains(image.status().message(), "30000 x 30000")) << image.status();
  EXPECT_EQ(ReasonOf(ReadImageHeader(png).status()), "IMAGE_TOO_LARGE");
}

TEST(ImageTest, HoldsEachLimit) {
  const std::string png = EncodePng(Gradient(100, 50)).value();
  ImageLimits limits;
  limits.max_pixels = 5000;
  limits.max_side = 100;
  limits.max_bytes = static_cast<int64_t>(png.size());
  EXPECT_TRUE(DecodeGray(png, limits).ok());
  ImageLimits fewer_pixels = limits;
  fewer_pixels.max_pixels = 4999;
  EXPECT_EQ(ReasonOfDecoding(png, fewer_pixels), "IMAGE_TOO_LARGE");
  ImageLimits smaller_side = limits;
  smaller_side.max_side = 99;
  EXPECT_EQ(ReasonOfDecoding(png, smaller_side), "IMAGE_TOO_LARGE");
  ImageLimits fewer_bytes = limits;
  fewer_bytes.max_bytes -= 1;
  EXPECT_EQ(ReasonOfDecoding(png, fewer_bytes), "IMAGE_TOO_LARGE");
}

TEST(ImageTest, RefusesEveryTruncationOfAPng) {
  for (int interlace : {PNG_INTERLACE_NONE, PNG_INTERLACE_ADAM7}) {
    std::vector<std::vector<uint8_t>> rows(20, std::vector<uint8_t>(60));
    for (size_t i = 0; i < 1200; ++i) rows[i / 60][i % 60] = static_cast<uint8_t>(i * i % 251);
    const std::string png = WritePng({PNG_COLOR_TYPE_RGB, 8, interlace}, 20, rows);
    ASSERT_TRUE(DecodeGray(png).ok());
    for (size_t size = 8; size < png.size(); ++size) {
      EXPECT_EQ(ReasonOfDecoding(png.substr(0, size)), "IMAGE_CORRUPT") << size;
    }
  }
}

TEST(ImageTest, RefusesEveryTruncationOfAJpeg) {
  for (bool progressive : {false, true}) {
    const std::string jpeg = WriteJpeg(64, 64, JCS_RGB, {10, 200, 90}, progressive);
    ASSERT_TRUE(DecodeGray(jpeg).ok());
    for (size_t size = 3; size < jpeg.size(); ++size) {
      EXPECT_EQ(ReasonOfDecoding(jpeg.substr(0, size)), "IMAGE_CORRUPT") << size;
    }
  }
}

TEST(ImageTest, SurvivesAnyFlippedByte) {
  const std::string png = EncodePng(Gradient(16, 16)).value();
  const std::string jpeg = WriteJpeg(32, 32, JCS_RGB, {10, 200, 90});
  for (const std::string& whole : {png, jpeg}) {
    for (size_t at = 0; at < whole.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
        const auto image = DecodeGray(damaged);
        if (image.ok()) {
          EXPECT_EQ(image->pixels.size(), static_cast<size_t>(image->width) * image->height);
        } else {
          EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument);
        }
      }
    }
  }
}

}  // namespace
}  // namespace fairlead
