// Reads OCR examples from a folder: labels.tsv (file<TAB>text) and the images, loose or in
// images.tar. Torch-free.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/train.h"

namespace fairlead::trainer {

// The first component of a file's path says its split: train, val or test. A file without one is
// put by hash of (seed, file): 80 % train, 10 % validation, 10 % test. When no file is for
// validation, a tenth of the training files is taken by the same hash. NOT_FOUND for a missing
// labels.tsv or image, INVALID_ARGUMENT for a bad line or image; messages name file and line.
absl::StatusOr<std::vector<OcrExample>> ReadOcrFolder(const std::string& folder, uint64_t seed);

struct NamedImage {
  std::string name;  // Path inside the folder.
  GrayImage image;
};
// Every PNG and JPEG of the folder (by name .png, .jpg, .jpeg) and of its images.tar, by name.
absl::StatusOr<std::vector<NamedImage>> ReadImageFolder(const std::string& folder);

}  // namespace fairlead::trainer
