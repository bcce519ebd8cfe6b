// Internal to aggregate_texts: texts as numbered words that compare without regard to case and
// punctuation, yet can be written as they stood. Pure; not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace fairlead::quality::batch {

// A word and how it stood: itself and what followed it up to the next word.
struct Word {
  int32_t number;
  absl::string_view surface;  // Of the caller's text, which outlives the word.
};

class WordNumbers {
 public:
  // The runs of ASCII letters, digits, apostrophes and bytes beyond ASCII; letters in lower case.
  std::vector<Word> Split(absl::string_view text);

 private:
  absl::flat_hash_map<std::string, int32_t> numbers_;
};

// Levenshtein distance, substitutions, insertions and deletions at one each. O(|a|·|b|).
int EditDistance(const std::vector<int32_t>& a, const std::vector<int32_t>& b);

}  // namespace fairlead::quality::batch
