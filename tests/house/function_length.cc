#include <algorithm>
#include <cctype>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "tests/house/rules.h"

namespace fairlead::house {
namespace {

enum class Block { kScope, kFunction, kOther };

struct OpenBlock {
  Block kind;
  int line;
  std::string head;
};

// Whether '=' stands outside parentheses: `x = {` is an initialiser, `f(int a = 1) {` is none.
bool AssignsOutsideParentheses(absl::string_view head) {
  int depth = 0;
  for (size_t i = 0; i < head.size(); ++i) {
    if (head[i] == '(') ++depth;
    if (head[i] == ')') --depth;
    const bool part_of_operator = i > 0 && absl::StrContains("=!<>+-*/%&|^", head.substr(i - 1, 1));
    const bool doubled = i + 1 < head.size() && head[i + 1] == '=';
    if (head[i] == '=' && depth == 0 && !part_of_operator && !doubled) return true;
  }
  return false;
}

// What the block is that opens after `head`, inside no function. `spaced`: white space before '{',
// which the format puts before a body and never before a member's initialiser.
Block Classify(const std::string& head, bool spaced, bool in_parentheses) {
  static const std::regex kScope(R"((^|[\s>])(namespace|class|struct|union|enum|extern)(\s|$))");
  static const std::regex kLambda(R"(\]\s*(\(|$))");
  if (in_parentheses) return Block::kOther;
  const bool has_parameters = absl::StrContains(head, "(");
  const bool is_operator = absl::StrContains(head, "operator");
  if (!is_operator && AssignsOutsideParentheses(head)) {
    return std::regex_search(head, kLambda) ? Block::kFunction : Block::kOther;
  }
  if (!spaced) return Block::kOther;
  // `struct X f() {` is not written here; an attribute macro (`class A(mu) B {`) is.
  if (std::regex_search(head, kScope)) return Block::kScope;
  return has_parameters ? Block::kFunction : Block::kOther;
}

class FunctionFinder {
 public:
  explicit FunctionFinder(const SourceFile& file) : path_(file.path), code_(MaskCode(file.text)) {}

  std::vector<Finding> Run() {
    for (size_t i = 0; i < code_.size(); ++i) {
      const char c = code_[i];
      if (c == '\n') ++line_;
      if (c == '{') {
        Open(i);
      } else if (c == '}') {
        Close();
      } else if (c == ';' && parentheses_ == 0) {
        head_.clear();
      } else {
        if (c == '(') ++parentheses_;
        if (c == ')') --parentheses_;
        head_.push_back(c);
      }
    }
    return findings_;
  }

 private:
  void Open(size_t at) {
    const bool inside = std::any_of(blocks_.begin(), blocks_.end(),
                                    [](const OpenBlock& b) { return b.kind != Block::kScope; });
    const bool spaced = at == 0 || std::isspace(static_cast<unsigned char>(code_[at - 1])) != 0;
    const std::string head(absl::StripAsciiWhitespace(head_));
    const Block kind = inside ? Block::kOther : Classify(head, spaced, parentheses_ > 0);
    blocks_.push_back({kind, line_, head});
    // A member's initialiser or a default argument is part of the head that goes on after it.
    if (kind != Block::kOther) head_.clear();
  }

  void Close() {
    if (blocks_.empty()) return;
    const OpenBlock block = blocks_.back();
    blocks_.pop_back();
    if (block.kind != Block::kOther) head_.clear();
    const int length = line_ - block.line + 1;
    if (block.kind != Block::kFunction || length <= kFunctionLines) return;
    const size_t end = std::min(block.head.find('('), block.head.size());
    const size_t start = block.head.find_last_of(" \n", end == 0 ? 0 : end - 1);
    const std::string name = block.head.substr(start == std::string::npos ? 0 : start + 1,
                                               end - (start == std::string::npos ? 0 : start + 1));
    findings_.push_back({path_, block.line,
                         absl::StrCat("function ", name, " has ", length, " lines, at most ",
                                      kFunctionLines, " are allowed")});
  }

  const std::string path_;
  const std::string code_;
  std::vector<Finding> findings_;
  std::vector<OpenBlock> blocks_;
  std::string head_;  // the text since the last ';', '{' or '}' that ended something
  int parentheses_ = 0;
  int line_ = 1;
};

}  // namespace

std::vector<Finding> CheckFunctionLength(const SourceFile& file) {
  return FunctionFinder(file).Run();
}

}  // namespace fairlead::house
