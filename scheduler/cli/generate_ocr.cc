#include "scheduler/cli/generate_ocr.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "scheduler/cli/generate_glyphs.h"
#include "scheduler/cli/generate_random.h"

namespace fairlead {
namespace {

// What makes one difficulty. Lengths in parts of the image's height, gray values 0 (black) to 255.
struct Look {
  double size_low, size_high;  // An em.
  double degrees;              // Letters turn by up to this, either way.
  double shear;
  double gap_low, gap_high;  // Between letters; below 0 they overlap.
  int paper_low, paper_high;
  int ink_high;
  bool scattered;  // Letters anywhere between top and bottom; else near the middle.
  int lines_low, lines_high;
  int line_low, line_high;  // Gray of lines.
  bool crossing;  // Lines go from edge to edge, one pixel wide; else anywhere, up to three.
  double warp;    // Largest shift.
  double noise_low, noise_high;  // Deviation of the noise, in gray values.
  double specks;                 // Largest share of pixels replaced by any gray.
  bool several_fonts;
};

constexpr Look kEasy = {.size_low = 0.60,
                        .size_high = 0.66,
                        .degrees = 3,
                        .shear = 0,
                        .gap_low = 0.06,
                        .gap_high = 0.14,
                        .paper_low = 230,
                        .paper_high = 255,
                        .ink_high = 50,
                        .scattered = false,
                        .lines_low = 0,
                        .lines_high = 0,
                        .line_low = 0,
                        .line_high = 0,
                        .crossing = true,
                        .warp = 0,
                        .noise_low = 1,
                        .noise_high = 4,
                        .specks = 0,
                        .several_fonts = false};
constexpr Look kPortal = {.size_low = 0.56,
                          .size_high = 0.66,
                          .degrees = 10,
                          .shear = 0,
                          .gap_low = 0.03,
                          .gap_high = 0.16,
                          .paper_low = 215,
                          .paper_high = 255,
                          .ink_high = 80,
                          .scattered = true,
                          .lines_low = 1,
                          .lines_high = 1,
                          .line_low = 60,
                          .line_high = 160,
                          .crossing = true,
                          .warp = 0,
                          .noise_low = 3,
                          .noise_high = 12,
                          .specks = 0,
                          .several_fonts = false};
constexpr Look kHard = {.size_low = 0.47,
                        .size_high = 0.69,
                        .degrees = 28,
                        .shear = 0.3,
                        .gap_low = -0.08,
                        .gap_high = 0.05,
                        .paper_low = 190,
                        .paper_high = 255,
                        .ink_high = 110,
                        .scattered = true,
                        .lines_low = 2,
                        .lines_high = 5,
                        .line_low = 0,
                        .line_high = 150,
                        .crossing = false,
                        .warp = 0.055,
                        .noise_low = 5,
                        .noise_high = 22,
                        .specks = 0.03,
                        .several_fonts = true};

absl::StatusOr<const Look*> LookOf(const std::string& difficulty) {
  if (difficulty == "easy") return &kEasy;
  if (difficulty == "portal") return &kPortal;
  if (difficulty == "hard") return &kHard;
  return FieldError("difficulty", absl::StrCat("\"", difficulty, "\" is not easy, portal or hard"));
}

struct Letter {
  uint32_t code_point = 0;
  std::string bytes;
};

// Strict enough for an alphabet that a person typed: lead and continuation bytes must agree.
absl::StatusOr<std::vector<Letter>> SplitUtf8(const std::string& text) {
  std::vector<Letter> letters;
  for (size_t at = 0; at < text.size();) {
    const uint8_t lead = static_cast<uint8_t>(text[at]);
    const int length = lead < 0x80   ? 1
                       : lead < 0xC2 ? 0
                       : lead < 0xE0 ? 2
                       : lead < 0xF0 ? 3
                       : lead < 0xF5 ? 4
                                     : 0;
    if (length == 0 || at + length > text.size()) {
      return FieldError("alphabet", absl::StrCat("byte ", at, " is no UTF-8"));
    }
    uint32_t code_point = length == 1 ? lead : lead & (0xFF >> (length + 1));
    for (int i = 1; i < length; ++i) {
      const uint8_t byte = static_cast<uint8_t>(text[at + i]);
      if ((byte & 0xC0) != 0x80) {
        return FieldError("alphabet", absl::StrCat("byte ", at + i, " is no UTF-8"));
      }
      code_point = (code_point << 6) | (byte & 0x3F);
    }
    letters.push_back({code_point, text.substr(at, length)});
    at += length;
  }
  return letters;
}

absl::Status CheckRange(absl::string_view field, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return FieldError(field, absl::StrCat(value, " is not within ", low, " to ", high));
}

absl::Status CheckOptions(const OcrGeneratorOptions& options) {
  RETURN_IF_ERROR(CheckRange("min_length", options.min_length, 1, 32));
  RETURN_IF_ERROR(CheckRange("max_length", options.max_length, options.min_length, 32));
  RETURN_IF_ERROR(CheckRange("width", options.width, 16, 4096));
  RETURN_IF_ERROR(CheckRange("height", options.height, 16, 1024));
  if (options.alphabet.empty()) return FieldError("alphabet", "is empty");
  return absl::OkStatus();
}

// Gray values not yet rounded.
struct Canvas {
  int width = 0;
  int height = 0;
  std::vector<double> gray;

  double& At(int x, int y) { return gray[static_cast<size_t>(y) * width + x]; }
  bool Has(int x, int y) const { return x >= 0 && y >= 0 && x < width && y < height; }
};

// One letter of the text with all that chance decides about it.
struct Placed {
  uint32_t code_point = 0;
  GlyphStyle style;
  double gap = 0;        // Before the next letter, pixels.
  double height_at = 0;  // 0 top … 1 bottom.
  double ink = 0;
};

class OcrPainter {
 public:
  static absl::StatusOr<OcrPainter> Create(const OcrGeneratorOptions& options) {
    RETURN_IF_ERROR(CheckOptions(options));
    ASSIGN_OR_RETURN(const Look* look, LookOf(options.difficulty));
    ASSIGN_OR_RETURN(std::vector<Letter> letters, SplitUtf8(options.alphabet));
    ASSIGN_OR_RETURN(const std::vector<std::string> fonts,
                     FindFonts(options.font_path, look->several_fonts));
    ASSIGN_OR_RETURN(std::unique_ptr<GlyphSource> glyphs, GlyphSource::Open(fonts));
    return OcrPainter(options, *look, std::move(letters), std::move(glyphs));
  }

  absl::StatusOr<GeneratedImage> Paint(int64_t index) {
    GenerateRandom random(options_.seed, static_cast<uint64_t>(index));
    GeneratedImage item;
    const std::vector<Placed> letters = Choose(random, &item.text);
    Canvas canvas{options_.width, options_.height, {}};
    canvas.gray.assign(static_cast<size_t>(canvas.width) * canvas.height,
                       random.Whole(look_.paper_low, look_.paper_high));
    const double left = random.Uniform(0.06, look_.scattered ? 0.5 : 0.25) * canvas.height;
    RETURN_IF_ERROR(DrawLetters(letters, left, &canvas));
    DrawLines(random, &canvas);
    if (look_.warp > 0) Warp(random, &canvas);
    AddNoise(random, &canvas);
    item.image.width = canvas.width;
    item.image.height = canvas.height;
    item.image.pixels.reserve(canvas.gray.size());
    for (double gray : canvas.gray) {
      item.image.pixels.push_back(static_cast<uint8_t>(std::lround(std::clamp(gray, 0.0, 255.0))));
    }
    return item;
  }

 private:
  OcrPainter(const OcrGeneratorOptions& options, const Look& look, std::vector<Letter> letters,
             std::unique_ptr<GlyphSource> glyphs)
      : options_(options), look_(look), letters_(std::move(letters)), glyphs_(std::move(glyphs)) {}

  std::vector<Placed> Choose(GenerateRandom& random, std::string* text) const {
    const double height = options_.height;
    std::vector<Placed> chosen(random.Whole(options_.min_length, options_.max_length));
    for (Placed& placed : chosen) {
      const Letter& letter = random.Of(letters_);
      text->append(letter.bytes);
      placed.code_point = letter.code_point;
      placed.style.font = random.Whole(0, glyphs_->fonts() - 1);
      placed.style.size = height * random.Uniform(look_.size_low, look_.size_high);
      placed.style.degrees = random.Uniform(-look_.degrees, look_.degrees);
      placed.style.shear = random.Uniform(-look_.shear, look_.shear);
      placed.gap = height * random.Uniform(look_.gap_low, look_.gap_high);
      placed.height_at = look_.scattered ? random.Unit() : random.Uniform(0.4, 0.6);
      placed.ink = random.Whole(0, look_.ink_high);
    }
    return chosen;
  }

  // Draws at the chosen size, or as much smaller as it takes for the text to fit.
  absl::Status DrawLetters(const std::vector<Placed>& letters, double left, Canvas* canvas) {
    double scale = 1;
    while (true) {
      std::vector<Glyph> glyphs;
      double right = left * scale;
      double tallest = 0;
      for (const Placed& placed : letters) {
        GlyphStyle style = placed.style;
        style.size *= scale;
        ASSIGN_OR_RETURN(Glyph glyph, glyphs_->Draw(placed.code_point, style));
        right += glyph.width + placed.gap * scale;
        tallest = std::max(tallest, static_cast<double>(glyph.height));
        glyphs.push_back(std::move(glyph));
      }
      right -= letters.back().gap * scale;
      if ((right <= canvas->width - 1 && tallest <= canvas->height) || scale < 0.05) {
        Stamp(letters, glyphs, left * scale, scale, canvas);
        return absl::OkStatus();
      }
      scale *= std::min(0.97, std::min((canvas->width - 1) / right, canvas->height / tallest));
    }
  }

  static void Stamp(const std::vector<Placed>& letters, const std::vector<Glyph>& glyphs,
                    double left, double scale, Canvas* canvas) {
    for (size_t i = 0; i < letters.size(); ++i) {
      const Glyph& glyph = glyphs[i];
      const int room = std::max(0, canvas->height - glyph.height);
      const int margin = std::min(room / 2, canvas->height / 16);
      const int top =
          margin + static_cast<int>(std::lround(letters[i].height_at * (room - 2 * margin)));
      for (int y = 0; y < glyph.height; ++y) {
        for (int x = 0; x < glyph.width; ++x) {
          const int at = static_cast<int>(left) + x;
          if (!canvas->Has(at, top + y)) continue;
          const double cover = glyph.coverage[static_cast<size_t>(y) * glyph.width + x] / 255.0;
          double& gray = canvas->At(at, top + y);
          gray += cover * (letters[i].ink - gray);
        }
      }
      left += glyph.width + letters[i].gap * scale;
    }
  }

  void DrawLines(GenerateRandom& random, Canvas* canvas) const {
    const int count = random.Whole(look_.lines_low, look_.lines_high);
    for (int i = 0; i < count; ++i) {
      const double x1 = look_.crossing ? 0 : random.Uniform(0, canvas->width);
      const double x2 = look_.crossing ? canvas->width : random.Uniform(0, canvas->width);
      const double y1 = random.Uniform(0, canvas->height);
      const double y2 = random.Uniform(0, canvas->height);
      const double gray = random.Whole(look_.line_low, look_.line_high);
      const double thickest = std::max(1.0, canvas->height * 3 / 64.0);
      const double thickness = look_.crossing ? 1 : random.Uniform(1, thickest);
      DrawLine(x1, y1, x2, y2, thickness, gray, canvas);
    }
  }

  // A pixel is covered as far as it lies within half the thickness of the line's middle.
  static void DrawLine(double x1, double y1, double x2, double y2, double thickness, double gray,
                       Canvas* canvas) {
    const double dx = x2 - x1;
    const double dy = y2 - y1;
    const double length2 = std::max(1e-9, dx * dx + dy * dy);
    for (int y = 0; y < canvas->height; ++y) {
      for (int x = 0; x < canvas->width; ++x) {
        const double px = x + 0.5 - x1;
        const double py = y + 0.5 - y1;
        const double along = std::clamp((px * dx + py * dy) / length2, 0.0, 1.0);
        const double distance = std::hypot(px - along * dx, py - along * dy);
        const double cover = std::clamp(thickness / 2 + 0.5 - distance, 0.0, 1.0);
        double& value = canvas->At(x, y);
        value += cover * (gray - value);
      }
    }
  }

  // Shifts every row and column along a sine.
  void Warp(GenerateRandom& random, Canvas* canvas) const {
    const double pi2 = 6.283185307179586;
    const double height = canvas->height;
    const double shift_x = random.Uniform(0.3, 1) * look_.warp * height;
    const double shift_y = random.Uniform(0.3, 0.9) * look_.warp * height;
    const double phase_x = random.Uniform(0, pi2);
    const double phase_y = random.Uniform(0, pi2);
    const double wave_x = height * random.Uniform(8, 16) / 64;
    const double wave_y = height * random.Uniform(12, 24) / 64;
    Canvas source = *canvas;
    for (int y = 0; y < canvas->height; ++y) {
      for (int x = 0; x < canvas->width; ++x) {
        const double from_x = x + shift_x * std::sin(y / wave_x + phase_x);
        const double from_y = y + shift_y * std::sin(x / wave_y + phase_y);
        canvas->At(x, y) =
            source.At(std::clamp(static_cast<int>(std::lround(from_x)), 0, canvas->width - 1),
                      std::clamp(static_cast<int>(std::lround(from_y)), 0, canvas->height - 1));
      }
    }
  }

  void AddNoise(GenerateRandom& random, Canvas* canvas) const {
    const double deviation = random.Uniform(look_.noise_low, look_.noise_high);
    const double specks = random.Uniform(0, look_.specks);
    for (double& gray : canvas->gray) {
      gray += deviation * random.Normal();
      if (random.Unit() < specks) gray = random.Whole(0, 255);
    }
  }

  OcrGeneratorOptions options_;
  Look look_;
  std::vector<Letter> letters_;
  std::unique_ptr<GlyphSource> glyphs_;
};

absl::Status WriteFile(const std::string& path, absl::string_view bytes) {
  ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  return Annotate(WriteAll(file.get(), bytes), path);
}

}  // namespace

absl::StatusOr<GeneratedImage> GenerateOcrImage(const OcrGeneratorOptions& options, int64_t index) {
  ASSIGN_OR_RETURN(OcrPainter painter, OcrPainter::Create(options));
  return painter.Paint(index);
}

absl::Status WriteOcrFolder(const std::string& directory, const OcrGeneratorOptions& options,
                            int64_t count, const std::function<void(int64_t done)>& progress) {
  RETURN_IF_ERROR(CheckRange("count", count, 1, 10'000'000));
  ASSIGN_OR_RETURN(OcrPainter painter, OcrPainter::Create(options));
  const std::string labels_path = absl::StrCat(directory, "/labels.tsv");
  struct stat state;
  if (::stat(labels_path.c_str(), &state) == 0) {
    return Error(absl::StatusCode::kAlreadyExists, "DATA_SET_EXISTS",
                 absl::StrCat(labels_path, " exists; name an empty directory"));
  }
  RETURN_IF_ERROR(CreateDirectories(directory));
  std::string labels;
  for (int64_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(const GeneratedImage item, painter.Paint(i));
    ASSIGN_OR_RETURN(const std::string png, EncodePng(item.image));
    const std::string name = absl::StrFormat("%06d.png", i);
    RETURN_IF_ERROR(WriteFile(absl::StrCat(directory, "/", name), png));
    absl::StrAppend(&labels, name, "\t", item.text, "\n");
    if (progress && ((i + 1) % 100 == 0 || i + 1 == count)) progress(i + 1);
  }
  return WriteFileDurably(labels_path, absl::StrCat(labels_path, ".part"), labels);
}

}  // namespace fairlead
