// Texts as class numbers: an alphabet of code points, and blank padding. Torch-free.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace fairlead::trainer {

inline constexpr int kBlank = 0;
inline constexpr int kLongestText = 512;  // Code points.

// The code points of UTF-8 text, each as a string. INVALID_ARGUMENT for bytes that are not UTF-8.
absl::StatusOr<std::vector<std::string>> SplitCodePoints(absl::string_view text);

// Levenshtein distance in code points. O(|a| · |b|).
int64_t EditDistance(const std::vector<std::string>& a, const std::vector<std::string>& b);

// Class 0 is the blank, class i + 1 the i-th symbol. Immutable.
class Alphabet {
 public:
  Alphabet() = default;
  // INVALID_ARGUMENT when a symbol is not exactly one code point or comes twice.
  static absl::StatusOr<Alphabet> FromSymbols(std::vector<std::string> symbols);

  // This alphabet with what `texts` need behind it, in code point order: older classes keep their
  // numbers. INVALID_ARGUMENT names the offending index.
  absl::StatusOr<Alphabet> GrownBy(absl::Span<const absl::string_view> texts) const;

  int classes() const { return static_cast<int>(symbols_.size()) + 1; }
  const std::vector<std::string>& symbols() const { return symbols_; }

  // `positions` classes, the text at the right and blanks before it. INVALID_ARGUMENT when the text
  // is longer or has a symbol that the alphabet lacks.
  absl::StatusOr<std::vector<int64_t>> Encode(absl::string_view text, int positions) const;
  // The symbols of `classes` without blanks.
  std::string Decode(absl::Span<const int> classes) const;

 private:
  std::vector<std::string> symbols_;
  std::map<std::string, int> class_of_;
};

}  // namespace fairlead::trainer
