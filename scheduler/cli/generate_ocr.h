// Draws images of short texts whose transcription is known: for demos, simulations and tests of the
// OCR way. Seeded; with one version of FreeType the same options give the same pixels everywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/image/image.h"

namespace fairlead {

struct OcrGeneratorOptions {
  // easy: upright, one font, hardly any noise. portal: slight rotation and jitter, one thin line,
  // mild noise. hard: several fonts, rotation, shear, overlap, lines, warp, noise.
  std::string difficulty = "portal";
  int min_length = 5;  // Characters, 1–32.
  int max_length = 5;
  std::string alphabet =
      "0123456789";  // UTF-8; a character that stands twice is drawn twice as often.
  int width = 128;   // Pixels, 16–4096.
  int height = 32;   // Pixels, 16–1024; letters grow with it.
  uint64_t seed = 1;
  // A font file. Empty: DejaVu Sans under /usr/share/fonts, and for `hard` its bold, mono and serif
  // sisters too, where they are installed.
  std::string font_path;
};

struct GeneratedImage {
  GrayImage image;
  std::string text;
};

// Item `index` of the set that the options describe. INVALID_ARGUMENT (field named) for options out
// of range or a character that the font cannot draw; FAILED_PRECONDITION with reason FONT_MISSING,
// naming the package to install, when there is no font. Thread-safe.
absl::StatusOr<GeneratedImage> GenerateOcrImage(const OcrGeneratorOptions& options, int64_t index);

// Writes items 0 … count-1 as `directory`/000000.png … and then labels.tsv, a line an item:
// file name, tab, text. labels.tsv appears last and whole, so a directory with it is complete.
// ALREADY_EXISTS (reason DATA_SET_EXISTS) when there is one already. `progress`, which may be
// empty, is called with the number of images written, at least every 100.
absl::Status WriteOcrFolder(const std::string& directory, const OcrGeneratorOptions& options,
                            int64_t count, const std::function<void(int64_t done)>& progress = {});

}  // namespace fairlead
