#include "scheduler/quality/edit_distance.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/base/hash.h"

namespace fairlead::quality {
namespace {

std::vector<uint64_t> Words(absl::string_view text) {
  std::vector<uint64_t> symbols;
  size_t begin = 0;
  while (begin < text.size() && symbols.size() < kMaxSymbols) {
    if (absl::ascii_isspace(static_cast<unsigned char>(text[begin]))) {
      ++begin;
      continue;
    }
    size_t end = begin;
    while (end < text.size() && !absl::ascii_isspace(static_cast<unsigned char>(text[end]))) ++end;
    symbols.push_back(StableHash64(text.substr(begin, end - begin)));
    begin = end;
  }
  return symbols;
}

// Malformed bytes stand for themselves: a distance needs equality only, never validity.
std::vector<uint64_t> CodePoints(absl::string_view text) {
  std::vector<uint64_t> symbols;
  size_t begin = 0;
  while (begin < text.size() && symbols.size() < kMaxSymbols) {
    uint64_t symbol = static_cast<unsigned char>(text[begin++]);
    while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80 &&
           symbol >= 0xc0 && symbol < (1ull << 32)) {
      symbol = symbol << 8 | static_cast<unsigned char>(text[begin++]);
    }
    symbols.push_back(symbol);
  }
  return symbols;
}

}  // namespace

std::vector<uint64_t> Symbols(absl::string_view text, bool by_words) {
  return by_words ? Words(text) : CodePoints(text);
}

double NormalisedEditDistance(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  if (a.empty() && b.empty()) return 0;
  std::vector<size_t> previous(b.size() + 1);
  std::vector<size_t> current(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({replace, previous[j] + 1, current[j - 1] + 1});
    }
    std::swap(previous, current);
  }
  return static_cast<double>(previous[b.size()]) /
         static_cast<double>(std::max(a.size(), b.size()));
}

}  // namespace fairlead::quality
