// Hashed word n-grams of a response. Torch-free; equal on every machine.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace fairlead::trainer {

// Bucket and value, sorted by bucket, each bucket once.
using SparseVector = std::vector<std::pair<uint32_t, float>>;

// Words are runs of letters, digits, apostrophes and bytes above 127, ASCII lower-cased. Every
// distinct unigram and bigram (with a mark for the start and the end) adds 1 to bucket
// StableHash64(n-gram) mod 2^bits; the vector is then scaled to length 1, so that long responses do
// not win by their length alone. O(length · log length).
SparseVector HashedNgrams(absl::string_view response, int bits);

// The number of words, as HashedNgrams cuts them.
int64_t CountWords(absl::string_view response);

}  // namespace fairlead::trainer
