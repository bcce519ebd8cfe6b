#include "trainer/data/labels.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace fairlead::trainer {
namespace {

// Bytes of the code point that `lead` begins; 0 when it cannot begin one (RFC 3629).
size_t SequenceLength(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> SplitCodePoints(absl::string_view text) {
  std::vector<std::string> points;
  for (size_t i = 0; i < text.size();) {
    const size_t length = SequenceLength(static_cast<uint8_t>(text[i]));
    bool valid = length > 0 && i + length <= text.size();
    for (size_t j = 1; valid && j < length; ++j) {
      valid = (static_cast<uint8_t>(text[i + j]) & 0xC0) == 0x80;
    }
    if (!valid) return FieldError("text", absl::StrCat("byte ", i, " is not UTF-8"));
    points.emplace_back(text.substr(i, length));
    i += length;
  }
  return points;
}

int64_t EditDistance(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<int64_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int64_t>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    int64_t diagonal = row[0];
    row[0] = static_cast<int64_t>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int64_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

absl::StatusOr<Alphabet> Alphabet::FromSymbols(std::vector<std::string> symbols) {
  Alphabet alphabet;
  for (size_t i = 0; i < symbols.size(); ++i) {
    ASSIGN_OR_RETURN(const std::vector<std::string> points, SplitCodePoints(symbols[i]));
    if (points.size() != 1) {
      return FieldError("alphabet", absl::StrCat("symbol ", i, " is not one code point"));
    }
    if (!alphabet.class_of_.emplace(symbols[i], static_cast<int>(i) + 1).second) {
      return FieldError("alphabet", absl::StrCat("symbol ", i, " comes twice"));
    }
  }
  alphabet.symbols_ = std::move(symbols);
  return alphabet;
}

absl::StatusOr<Alphabet> Alphabet::GrownBy(absl::Span<const absl::string_view> texts) const {
  std::set<std::string> fresh;
  for (size_t i = 0; i < texts.size(); ++i) {
    auto points = SplitCodePoints(texts[i]);
    if (!points.ok()) return Annotate(points.status(), absl::StrCat("example ", i));
    for (std::string& point : *points) {
      if (class_of_.count(point) == 0) fresh.insert(std::move(point));
    }
  }
  std::vector<std::string> symbols = symbols_;
  symbols.insert(symbols.end(), fresh.begin(), fresh.end());
  return FromSymbols(std::move(symbols));
}

absl::StatusOr<std::vector<int64_t>> Alphabet::Encode(absl::string_view text, int positions) const {
  ASSIGN_OR_RETURN(const std::vector<std::string> points, SplitCodePoints(text));
  if (points.size() > static_cast<size_t>(positions)) {
    return FieldError("text", absl::StrCat(points.size(), " characters, at most ", positions));
  }
  std::vector<int64_t> classes(positions, kBlank);
  const size_t start = positions - points.size();
  for (size_t i = 0; i < points.size(); ++i) {
    const auto found = class_of_.find(points[i]);
    if (found == class_of_.end()) {
      return FieldError("text", absl::StrCat("character ", i, " is not in the alphabet"));
    }
    classes[start + i] = found->second;
  }
  return classes;
}

std::string Alphabet::Decode(absl::Span<const int> classes) const {
  std::string text;
  for (const int number : classes) {
    if (number != kBlank) text += symbols_[number - 1];
  }
  return text;
}

}  // namespace fairlead::trainer
