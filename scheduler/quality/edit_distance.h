// Edit distance between texts, bounded in work. Pure; thread-safe.
#pragma once

#include <cstdint>

#include <vector>

#include "absl/strings/string_view.h"

namespace fairlead::quality {

// A text as comparable symbols, its code points or the hashes of its words, at most kMaxSymbols of
// them: what follows is not compared. Texts of one comparison take the same `by_words`.
inline constexpr size_t kMaxSymbols = 512;
std::vector<uint64_t> Symbols(absl::string_view text, bool by_words);

// Levenshtein distance over the longer length: 0 for equal texts, at most 1. O(|a|·|b|) time,
// O(|b|) memory, at most 262,144 steps for inputs from Symbols().
double NormalisedEditDistance(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b);

}  // namespace fairlead::quality
