#include "scheduler/quality/batch/words.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/ascii.h"

namespace fairlead::quality::batch {
namespace {

bool InWord(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return absl::ascii_isalnum(byte) || c == '\'' || byte >= 0x80;
}

}  // namespace

std::vector<Word> WordNumbers::Split(absl::string_view text) {
  std::vector<Word> words;
  size_t at = 0;
  while (at < text.size() && !InWord(text[at])) ++at;
  while (at < text.size()) {
    const size_t begin = at;
    while (at < text.size() && InWord(text[at])) ++at;
    const std::string word = absl::AsciiStrToLower(text.substr(begin, at - begin));
    while (at < text.size() && !InWord(text[at])) ++at;
    const int32_t next = static_cast<int32_t>(numbers_.size());
    words.push_back(
        {numbers_.try_emplace(word, next).first->second, text.substr(begin, at - begin)});
  }
  return words;
}

int EditDistance(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace fairlead::quality::batch
