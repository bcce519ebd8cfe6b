// Reads OCR examples from a folder: labels.tsv (file<TAB>text) and the images, loose or in
// images.tar. Torch-free.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/train.h"

namespace fairlead::trainer {

struct OcrFolder {
  std::vector<OcrExample> examples;
  std::vector<OcrSetAside> set_aside;
};
// The first component of a file's path says its split: train, val or test. A file without one is
// put by hash of (seed, file): 80 % train, 10 % validation, 10 % test. When no file is for
// validation, a tenth of the training files is taken by the same hash. An item whose image is
// missing or unreadable, or whose text is not UTF-8 or too long, is set aside. NOT_FOUND for a
// missing labels.tsv, INVALID_ARGUMENT for a line that is none or a file listed twice (messages
// name file and line), and when a split that training needs has no usable item.
absl::StatusOr<OcrFolder> ReadOcrFolder(const std::string& folder, uint64_t seed);

struct NamedImage {
  std::string name;  // Path inside the folder, or of the member inside images.tar.
  GrayImage image;
};
struct ImageFolder {
  std::vector<NamedImage> images;      // By name.
  std::vector<OcrSetAside> set_aside;  // Images that cannot be decoded.
  int64_t other_files = 0;             // Neither PNG nor JPEG.
};
// Every PNG and JPEG, by content whatever the name, at any depth of the folder and in its
// images.tar. NOT_FOUND when there is no folder or not one image in it.
absl::StatusOr<ImageFolder> ReadImageFolder(const std::string& folder);

}  // namespace fairlead::trainer
