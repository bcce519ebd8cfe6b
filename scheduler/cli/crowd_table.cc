#include "scheduler/cli/crowd_table.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "scheduler/cli/csv.h"

namespace fairlead::cli {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

absl::StatusOr<size_t> AnswerColumn(const CsvReader& reader, const CrowdColumns& columns) {
  for (const std::string& name : columns.answer) {
    if (auto column = reader.Column(name); column.ok()) return column;
  }
  return reader.Column(absl::StrJoin(columns.answer, "' or '"));
}

absl::Status EmptyField(const CsvReader& reader, absl::string_view column) {
  return reader.Fail(absl::StrCat("the ", column, " is empty"));
}

}  // namespace

int32_t Numbering::NumberOf(absl::string_view name) {
  if (auto found = numbers_.find(name); found != numbers_.end()) return found->second;
  numbers_.emplace(std::string(name), size());
  names_.emplace_back(name);
  return size() - 1;
}

int32_t Numbering::Find(absl::string_view name) const {
  auto found = numbers_.find(name);
  return found == numbers_.end() ? -1 : found->second;
}

absl::StatusOr<CrowdTable> ReadCrowdTable(const std::string& path, const CrowdColumns& columns) {
  ASSIGN_OR_RETURN(CsvReader reader, CsvReader::Open(path));
  ASSIGN_OR_RETURN(const size_t task, reader.Column("task"));
  ASSIGN_OR_RETURN(const size_t worker, reader.Column("worker"));
  ASSIGN_OR_RETURN(const size_t answer, AnswerColumn(reader, columns));
  const auto time = reader.Column("time_s");
  const bool timed = columns.with_seconds && time.ok();
  CrowdTable table;
  absl::flat_hash_set<std::pair<int32_t, int32_t>> seen;
  std::vector<std::string> row;
  while (true) {
    ASSIGN_OR_RETURN(const bool any, reader.Next(row));
    if (!any) break;
    if (row[task].empty()) return EmptyField(reader, "task");
    if (row[worker].empty()) return EmptyField(reader, "worker");
    if (row[answer].empty() && !columns.empty_answers)
      return EmptyField(reader, reader.header()[answer]);
    const int32_t t = table.tasks.NumberOf(row[task]);
    const int32_t w = table.contractors.NumberOf(row[worker]);
    if (!seen.emplace(t, w).second) {
      ++table.repeats;
      continue;
    }
    table.rows.push_back({t, w, table.answers.NumberOf(row[answer])});
    table.lines.push_back(reader.line());
    double seconds = kNone;
    if (timed && !absl::SimpleAtod(row[*time], &seconds)) seconds = kNone;
    if (timed) table.seconds.push_back(seconds);
  }
  if (table.rows.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no answers below the header row"));
  }
  return table;
}

absl::StatusOr<CrowdTruth> ReadCrowdTruth(const std::string& path, const CrowdColumns& columns,
                                          CrowdTable& table) {
  ASSIGN_OR_RETURN(CsvReader reader, CsvReader::Open(path));
  ASSIGN_OR_RETURN(const size_t task, reader.Column("task"));
  ASSIGN_OR_RETURN(const size_t answer, AnswerColumn(reader, columns));
  CrowdTruth truth;
  truth.answer.assign(table.tasks.size(), -1);
  std::vector<std::string> row;
  while (true) {
    ASSIGN_OR_RETURN(const bool any, reader.Next(row));
    if (!any) return truth;
    if (row[task].empty()) return EmptyField(reader, "task");
    if (row[answer].empty() && !columns.empty_answers)
      return EmptyField(reader, reader.header()[answer]);
    const int32_t t = table.tasks.Find(row[task]);
    if (t < 0) {
      ++truth.unknown_tasks;
      continue;
    }
    const int32_t known = table.answers.NumberOf(row[answer]);
    if (truth.answer[t] >= 0 && truth.answer[t] != known) {
      return reader.Fail("the task has another answer in an earlier row");
    }
    truth.answer[t] = known;
  }
}

void SortAnswers(CrowdTable& table, std::vector<int32_t>& truth) {
  const std::vector<std::string>& names = table.answers.names();
  std::vector<int32_t> order(names.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return names[a] < names[b]; });
  Numbering sorted;
  std::vector<int32_t> renumbered(names.size());
  for (const int32_t answer : order) renumbered[answer] = sorted.NumberOf(names[answer]);
  for (CrowdRow& row : table.rows) row.answer = renumbered[row.answer];
  for (int32_t& answer : truth) answer = answer < 0 ? answer : renumbered[answer];
  table.answers = std::move(sorted);
}

}  // namespace fairlead::cli
