#include <cctype>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "tests/house/rules.h"

namespace fairlead::house {
namespace {

// Walks the text once; each Skip… blanks what it passes over.
class Masker {
 public:
  explicit Masker(absl::string_view text) : out_(text) {}

  std::string Run() {
    bool line_start = true;
    while (pos_ < out_.size()) {
      const char c = out_[pos_];
      if (c == '\n') {
        line_start = true;
        ++pos_;
      } else if (line_start && c == '#') {
        SkipDirective();
      } else if (At("//")) {
        SkipLineComment();
      } else if (At("/*")) {
        SkipUntil("*/");
      } else if (c == '"') {
        SkipString();
      } else if (c == '\'' && !AfterWordCharacter()) {
        SkipQuoted('\'');
      } else {
        line_start = line_start && std::isspace(static_cast<unsigned char>(c)) != 0;
        ++pos_;
      }
    }
    return out_;
  }

 private:
  bool At(absl::string_view token) const {
    return absl::StartsWith(absl::string_view(out_).substr(pos_), token);
  }

  // A quote after a letter or digit is a digit separator (1'000), except after the prefixes of a
  // character literal, which this project does not use.
  bool AfterWordCharacter() const {
    return pos_ > 0 && std::isalnum(static_cast<unsigned char>(out_[pos_ - 1])) != 0;
  }

  void Blank() {
    if (out_[pos_] != '\n') out_[pos_] = ' ';
    ++pos_;
  }

  void SkipLineComment() {
    while (pos_ < out_.size() && out_[pos_] != '\n') Blank();
  }

  // A directive goes on where its line ends in a backslash.
  void SkipDirective() {
    while (pos_ < out_.size()) {
      if (out_[pos_] == '\n') return;
      const bool continued = out_[pos_] == '\\' && pos_ + 1 < out_.size() && out_[pos_ + 1] == '\n';
      Blank();
      if (continued) Blank();
    }
  }

  void SkipUntil(absl::string_view end) {
    while (pos_ < out_.size() && !At(end)) Blank();
    for (size_t i = 0; i < end.size() && pos_ < out_.size(); ++i) Blank();
  }

  void SkipString() {
    if (pos_ > 0 && out_[pos_ - 1] == 'R') {
      const size_t open = out_.find('(', pos_);
      if (open != std::string::npos) {
        SkipUntil(absl::StrCat(")", out_.substr(pos_ + 1, open - pos_ - 1), "\""));
        return;
      }
    }
    SkipQuoted('"');
  }

  // The quotes themselves stay, so that an empty literal is still seen as one.
  void SkipQuoted(char quote) {
    ++pos_;
    while (pos_ < out_.size() && out_[pos_] != quote && out_[pos_] != '\n') {
      if (out_[pos_] == '\\') Blank();
      if (pos_ < out_.size()) Blank();
    }
    if (pos_ < out_.size() && out_[pos_] == quote) ++pos_;
  }

  std::string out_;
  size_t pos_ = 0;
};

}  // namespace

std::string MaskCode(absl::string_view text) { return Masker(text).Run(); }

}  // namespace fairlead::house
