#include "scheduler/cli/labels.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"
#include "scheduler/cli/file.h"

namespace fairlead::cli {
namespace {

// nlohmann's serializer is strict about UTF-8: it is our check.
bool IsUtf8(absl::string_view text) {
  try {
    nlohmann::json(std::string(text)).dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

}  // namespace

absl::StatusOr<std::vector<LabelLine>> ParseLabels(absl::string_view text,
                                                   const std::string& source) {
  std::vector<LabelLine> labels;
  absl::flat_hash_set<std::string> seen;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    absl::ConsumeSuffix(&line, "\r");
    if (line.empty()) continue;
    const auto fail = [&](absl::string_view problem) {
      return absl::InvalidArgumentError(absl::StrCat(source, ":", number, ": ", problem));
    };
    const std::vector<absl::string_view> columns = absl::StrSplit(line, '\t');
    if (columns.size() < 2) return fail("a column is missing: write FILE, a tab, TEXT");
    if (columns.size() > 2) return fail("more than two columns: write FILE, a tab, TEXT");
    if (columns[0].empty()) return fail("the file name is empty");
    if (columns[1].empty()) return fail("the text is empty");
    if (!IsUtf8(line)) return fail("not UTF-8");
    if (!seen.insert(std::string(columns[0])).second) {
      return fail(absl::StrCat(columns[0], " is named twice"));
    }
    labels.push_back({std::string(columns[0]), std::string(columns[1]), number});
  }
  return labels;
}

absl::StatusOr<std::vector<LabelLine>> ReadLabels(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 256 << 20));
  return ParseLabels(text, path);
}

}  // namespace fairlead::cli
