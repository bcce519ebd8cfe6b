// labels.tsv: one `file<TAB>text` a line, UTF-8, no header; empty lines are skipped.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fairlead::cli {

struct LabelLine {
  std::string file;  // Relative to the images' folder or archive.
  std::string text;
  int line = 0;  // From 1.
};

// INVALID_ARGUMENT "SOURCE:LINE: …" for a missing column, a column too many, an empty file name or
// text, bytes that are not UTF-8, or a file named twice. All or nothing.
absl::StatusOr<std::vector<LabelLine>> ParseLabels(absl::string_view text,
                                                   const std::string& source);
absl::StatusOr<std::vector<LabelLine>> ReadLabels(const std::string& path);

}  // namespace fairlead::cli
