#include "tests/house/rules.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace fairlead::house {
namespace {

using Findings = std::vector<Finding>;

bool IsHeader(const SourceFile& file) { return absl::EndsWith(file.path, ".h"); }
bool IsCpp(const SourceFile& file) { return IsHeader(file) || absl::EndsWith(file.path, ".cc"); }
bool IsTest(absl::string_view path) { return absl::StartsWith(path, "tests/"); }

std::vector<std::string> Lines(absl::string_view text) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

// Calls `check(line)`, which returns what is wrong or "", for every line.
template <typename Check>
Findings EachLine(const std::string& path, absl::string_view text, Check check) {
  Findings findings;
  int number = 0;
  for (const std::string& line : Lines(text)) {
    ++number;
    if (std::string what = check(line); !what.empty()) findings.push_back({path, number, what});
  }
  return findings;
}

bool StartsWithAny(absl::string_view text, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return absl::StartsWith(text, prefix); });
}

// The dependency rule between our own folders: folder -> prefixes of what it may include.
struct FolderRule {
  const char* folder;
  std::vector<std::string> may_include;
};

const std::vector<FolderRule>& FolderRules() {
  static const auto& rules = *new std::vector<FolderRule>{
      {"common/", {"common/", "fairlead/", "google/rpc/"}},
      {"scheduler/", {"scheduler/", "common/", "fairlead/", "google/rpc/"}},
      {"trainer/", {"trainer/", "common/", "fairlead/", "google/rpc/"}},
      {"worker/",
       {"worker/", "common/", "trainer/train.h", "trainer/label_check.h",
        "trainer/data/preference_file.h", "fairlead/", "google/rpc/"}},
  };
  return rules;
}

// A third party with a fence: headers by prefix -> the only places that may include them.
struct FenceRule {
  const char* name;
  std::vector<std::string> headers;
  std::vector<std::string> places;
};

const std::vector<FenceRule>& FenceRules() {
  static const auto& rules = *new std::vector<FenceRule>{
      {"libtorch", {"torch/", "ATen/", "c10/", "caffe2/"}, {"trainer/", "tests/"}},
      {"SentencePiece",
       {"sentencepiece_"},
       {"trainer/tokenizer_main.cc", "tests/trainer/sentencepiece_reference.cc"}},
      {"hiredis", {"hiredis/", "hiredis.h"}, {"common/redis/connection.cc", "tests/"}},
      {"gRPC",
       {"grpcpp/", "grpc/", "grpc++/"},
       {"common/rpc/", "scheduler/api/", "scheduler/server", "scheduler/cli/", "tests/"}},
  };
  return rules;
}

std::string IncludeProblem(const std::string& path, const std::string& header) {
  static const std::array<const char*, 5> kOwn = {"common/", "scheduler/", "trainer/", "worker/",
                                                  "tests/"};
  for (const FolderRule& rule : FolderRules()) {
    if (!absl::StartsWith(path, rule.folder)) continue;
    const bool own = std::any_of(kOwn.begin(), kOwn.end(), [&](const char* folder) {
      return absl::StartsWith(header, folder);
    });
    if (own && !StartsWithAny(header, rule.may_include)) {
      return absl::StrCat(rule.folder, " may not include ", header);
    }
  }
  for (const FenceRule& rule : FenceRules()) {
    const bool generated = std::string(rule.name) == "gRPC" && absl::EndsWith(header, ".grpc.pb.h");
    if (!generated && !StartsWithAny(header, rule.headers)) continue;
    if (!StartsWithAny(path, rule.places)) {
      return absl::StrCat(rule.name, " may not be included here (", header, ")");
    }
    if (path == "trainer/train.h" || path == "trainer/label_check.h" ||
        path == "trainer/data/preference_file.h") {
      return absl::StrCat(path, " is the facade without libtorch");
    }
  }
  return "";
}

// The words of a CamelCase or snake_case name, in lower case.
std::vector<std::string> Words(absl::string_view name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    const bool upper = absl::ascii_isupper(static_cast<unsigned char>(c));
    if ((upper || c == '_') && !words.back().empty()) words.emplace_back();
    if (c != '_') words.back().push_back(absl::ascii_tolower(static_cast<unsigned char>(c)));
  }
  return words;
}

std::string NameProblem(absl::string_view name) {
  static const std::array<const char*, 6> kNowhere = {"manager", "managers", "helper",
                                                      "helpers", "util",     "utils"};
  static const std::array<const char*, 2> kNotLast = {"data", "info"};
  if (name == "ErrorInfo" || name == "RetryInfo") return "";  // google.rpc's own names
  const std::vector<std::string> words = Words(name);
  for (const std::string& word : words) {
    if (std::find(kNowhere.begin(), kNowhere.end(), word) != kNowhere.end()) {
      return absl::StrCat("the name ", name, " says '", word, "'; name what it does");
    }
  }
  if (std::find(kNotLast.begin(), kNotLast.end(), words.back()) != kNotLast.end()) {
    return absl::StrCat("the name ", name, " ends in '", words.back(), "'; name what it holds");
  }
  return "";
}

// The file's name without folders and without anything after its first dot.
std::string Stem(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  return name.substr(0, name.find('.'));
}

}  // namespace

Findings CheckFileLength(const SourceFile& file) {
  if (!IsCpp(file)) return {};
  const int lines = static_cast<int>(Lines(file.text).size());
  const int most = IsHeader(file) ? kHeaderLines : kImplementationLines;
  if (lines <= most) return {};
  return {
      {file.path, lines, absl::StrCat("has ", lines, " lines, at most ", most, " are allowed")}};
}

Findings CheckIncludes(const SourceFile& file) {
  if (!IsCpp(file)) return {};
  static const std::regex kInclude(R"rx(^\s*#\s*include\s*[<"]([^>"]+)[>"])rx");
  return EachLine(file.path, file.text, [&](const std::string& line) -> std::string {
    std::smatch match;
    if (!std::regex_search(line, match, kInclude)) return "";
    return IncludeProblem(file.path, match[1].str());
  });
}

Findings CheckNames(const SourceFile& file) {
  Findings findings;
  if (const std::string what = NameProblem(Stem(file.path)); !what.empty()) {
    findings.push_back({file.path, 0, what});
  }
  const bool proto = absl::EndsWith(file.path, ".proto");
  if (!IsCpp(file) && !proto) return findings;
  static const std::regex kCppType(
      R"(\b(?:class|struct|union|enum|using)\s+(?:[A-Z_]+(?:\([^)]*\))?\s+)?([A-Z]\w*))");
  static const std::regex kProtoType(R"(^\s*(?:message|enum|service)\s+(\w+))");
  const std::string code = MaskCode(file.text);
  Findings types = EachLine(file.path, code, [&](const std::string& line) -> std::string {
    std::smatch match;
    if (!std::regex_search(line, match, proto ? kProtoType : kCppType)) return "";
    return NameProblem(match[1].str());
  });
  std::move(types.begin(), types.end(), std::back_inserter(findings));
  return findings;
}

Findings CheckTestSleeps(const SourceFile& file) {
  if (!IsCpp(file) || !IsTest(file.path) || absl::StartsWith(file.path, "tests/support/") ||
      absl::StartsWith(file.path, "tests/bench/")) {
    return {};
  }
  static const std::regex kSleep(
      R"(\b(sleep_for|sleep_until|SleepFor|usleep|nanosleep|sleep)\s*\()");
  return EachLine(file.path, MaskCode(file.text), [](const std::string& line) -> std::string {
    if (!std::regex_search(line, kSleep)) return "";
    return "a test waits for a condition, it does not sleep";
  });
}

Findings CheckStringView(const SourceFile& file) {
  if (!IsHeader(file)) return {};
  return EachLine(file.path, MaskCode(file.text), [](const std::string& line) -> std::string {
    return absl::StrContains(line, "std::string_view") ? "use absl::string_view" : "";
  });
}

Findings CheckAbsolutePaths(const SourceFile& file) {
  static const std::regex kPath(R"((^|[\s"'=(:,])/(home|work|root|Users)/\w)");
  return EachLine(file.path, file.text, [](const std::string& line) -> std::string {
    return std::regex_search(line, kPath) ? "a path of one machine" : "";
  });
}

Findings CheckTodos(const SourceFile& file) {
  // Written in two parts so that this file does not break its own rule.
  static const std::regex kTodo(
      "\\b(TO"
      "DO|FIX"
      "ME|XX"
      "X)\\b(?!\\(issue-[0-9]+\\):)");
  return EachLine(file.path, file.text, [](const std::string& line) -> std::string {
    return std::regex_search(line, kTodo) ? "something to do names its issue: (issue-N):" : "";
  });
}

Findings CheckPragmaOnce(const SourceFile& file) {
  if (!IsHeader(file)) return {};
  const std::vector<std::string> lines = Lines(file.text);
  if (std::find(lines.begin(), lines.end(), "#pragma once") != lines.end()) return {};
  return {{file.path, 1, "#pragma once is missing"}};
}

Findings CheckWhitespace(const SourceFile& file) {
  return EachLine(file.path, file.text, [](const std::string& line) -> std::string {
    if (!line.empty() && line.back() == '\r') return "the line ends in CR LF";
    return absl::StrContains(line, '\t') ? "a tab" : "";
  });
}

Findings CheckFile(const SourceFile& file) {
  static const std::array kRules = {CheckFileLength, CheckIncludes,   CheckNames,
                                    CheckTestSleeps, CheckStringView, CheckAbsolutePaths,
                                    CheckTodos,      CheckPragmaOnce, CheckWhitespace};
  Findings all;
  for (const auto& rule : kRules) {
    Findings findings = rule(file);
    std::move(findings.begin(), findings.end(), std::back_inserter(all));
  }
  if (IsCpp(file)) {
    Findings findings = CheckFunctionLength(file);
    std::move(findings.begin(), findings.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace fairlead::house
