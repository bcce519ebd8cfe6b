// Files of crowd answers as people exchange them: labels.csv (task,worker,label) and gold.csv or
// truth.csv (task,label). `worker` is the field's old word for a contractor. Columns are found by
// name, others are ignored.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fairlead::cli {

// Names numbered from 0 in order of first appearance.
class Numbering {
 public:
  int32_t NumberOf(absl::string_view name);
  // -1 for a name never seen.
  int32_t Find(absl::string_view name) const;
  const std::vector<std::string>& names() const { return names_; }
  int32_t size() const { return static_cast<int32_t>(names_.size()); }

 private:
  absl::flat_hash_map<std::string, int32_t> numbers_;
  std::vector<std::string> names_;
};

struct CrowdRow {
  int32_t task, contractor, answer;
};

struct CrowdTable {
  Numbering tasks, contractors, answers;
  std::vector<CrowdRow> rows;   // In order of file, without repeats.
  std::vector<double> seconds;  // Of each row, where a column time_s was asked for; NaN for none.
  std::vector<int64_t> lines;   // Of the file, for each row.
  int64_t repeats = 0;          // Rows dropped: a second answer of a contractor to a task.
};

struct CrowdColumns {
  std::vector<std::string> answer = {"label"};  // The first of these that the file has.
  bool empty_answers = false;                   // Whether an empty answer is one.
  bool with_seconds = false;                    // Reads time_s where the file has it.
};

// NOT_FOUND for a missing file or column, INVALID_ARGUMENT "PATH:LINE: …" for a broken row, an
// empty task, worker or answer, and for a file without rows. All or nothing.
absl::StatusOr<CrowdTable> ReadCrowdTable(const std::string& path, const CrowdColumns& columns);

struct CrowdTruth {
  std::vector<int32_t> answer;  // [task of the table]: a number of table.answers, or -1.
  int64_t unknown_tasks = 0;    // Rows about tasks that nobody answered: counted, not used.
};

// The known answers of the table's tasks; answers that nobody gave get a number in table.answers.
// Errors as above, and for a task whose truth is given twice and differs.
absl::StatusOr<CrowdTruth> ReadCrowdTruth(const std::string& path, const CrowdColumns& columns,
                                          CrowdTable& table);

// Numbers the table's answers, and the `truth` that goes with them, anew in order of name: what is
// decided by the smaller number then does not depend on the order of rows.
void SortAnswers(CrowdTable& table, std::vector<int32_t>& truth);

}  // namespace fairlead::cli
