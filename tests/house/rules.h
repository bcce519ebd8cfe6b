// The house rules, as functions from a source file to what breaks them. Pure: the test that walks
// the tree reads the files, so every rule is also tried on small made-up inputs.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace fairlead::house {

struct SourceFile {
  std::string path;  // from the repository's root, with '/'
  std::string text;
};

struct Finding {
  std::string path;
  int line = 0;  // 1-based; 0 = the whole file
  std::string what;
};

inline constexpr int kHeaderLines = 250;
inline constexpr int kImplementationLines = 500;
inline constexpr int kFunctionLines = 70;

// The C++ text with comments, preprocessor lines and the contents of string and character literals
// blanked; line breaks and columns stay, so positions in it are positions in the file.
std::string MaskCode(absl::string_view text);

// Why lengths: a reader holds one screen-sized idea at a time; a file past its length is two files.
std::vector<Finding> CheckFileLength(const SourceFile& file);

// A function's length counts from its opening to its closing brace, both included. Found by a brace
// heuristic: a block outside any other function whose head has parentheses and is no initialiser.
std::vector<Finding> CheckFunctionLength(const SourceFile& file);

// Why: the dependency rule (who may include whom, and which third party where) is what keeps the
// scheduler free of libtorch and the decisions free of I/O.
std::vector<Finding> CheckIncludes(const SourceFile& file);

// Why: a class called Manager, Helper or Util says nothing; one that ends in Data or Info says
// less. Looks at file names and at the names of types in C++ and proto files.
std::vector<Finding> CheckNames(const SourceFile& file);

// Why: a test that sleeps is slow where it passes and flaky where it does not. tests/support may,
// in its bounded waits for a real process, and tests/bench, where load comes at its time.
std::vector<Finding> CheckTestSleeps(const SourceFile& file);

// Why: Debian's absl::string_view is a type of its own, so a header with std::string_view splits
// its callers in two.
std::vector<Finding> CheckStringView(const SourceFile& file);

// Why: a path below somebody's home or working folder holds on one machine only.
std::vector<Finding> CheckAbsolutePaths(const SourceFile& file);

// Why: a to-do without an issue is never done.
std::vector<Finding> CheckTodos(const SourceFile& file);

// Why: one kind of guard, and none forgotten.
std::vector<Finding> CheckPragmaOnce(const SourceFile& file);

// Why: CR LF and tabs make differences that nobody sees.
std::vector<Finding> CheckWhitespace(const SourceFile& file);

// All rules that apply to the file.
std::vector<Finding> CheckFile(const SourceFile& file);

}  // namespace fairlead::house
