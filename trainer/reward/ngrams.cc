#include "trainer/reward/ngrams.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"

namespace fairlead::trainer {
namespace {

std::vector<std::string> Words(absl::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '\'' || byte > 127) {
      words.back() += absl::ascii_tolower(byte);
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

}  // namespace

int64_t CountWords(absl::string_view response) {
  return static_cast<int64_t>(Words(response).size());
}

SparseVector HashedNgrams(absl::string_view response, int bits) {
  const std::vector<std::string> words = Words(response);
  const uint32_t mask = (uint32_t{1} << bits) - 1;
  std::vector<uint32_t> buckets;
  std::string before = "\x01";  // No word has this byte.
  for (const std::string& word : words) {
    buckets.push_back(static_cast<uint32_t>(StableHash64(word)) & mask);
    buckets.push_back(static_cast<uint32_t>(StableHash64(absl::StrCat(before, " ", word))) & mask);
    before = word;
  }
  buckets.push_back(static_cast<uint32_t>(StableHash64(absl::StrCat(before, " \x02"))) & mask);
  std::sort(buckets.begin(), buckets.end());
  buckets.erase(std::unique(buckets.begin(), buckets.end()), buckets.end());
  const float value = static_cast<float>(1 / std::sqrt(static_cast<double>(buckets.size())));
  SparseVector vector;
  for (const uint32_t bucket : buckets) vector.emplace_back(bucket, value);
  return vector;
}

}  // namespace fairlead::trainer
