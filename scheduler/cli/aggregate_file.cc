#include "scheduler/cli/aggregate_file.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "scheduler/cli/crowd_table.h"
#include "scheduler/cli/csv.h"
#include "scheduler/cli/file.h"
#include "scheduler/quality/batch/aggregate_classes.h"
#include "scheduler/quality/batch/aggregate_ratings.h"
#include "scheduler/quality/batch/aggregate_texts.h"

namespace fairlead::cli {
namespace {

namespace batch = quality::batch;

// The answers as the batch methods take them.
struct Crowd {
  CrowdTable table;
  std::vector<int32_t> gold;  // [task].
};

// What is written for each task.
struct Labels {
  std::vector<std::string> label;
  std::vector<double> confidence;
};

absl::StatusOr<batch::LabelMatrix> Matrix(const CrowdTable& table) {
  std::vector<batch::ClassLabel> labels;
  labels.reserve(table.rows.size());
  for (const CrowdRow& row : table.rows) labels.push_back({row.task, row.contractor, row.answer});
  return batch::LabelMatrix::Build(table.tasks.size(), table.contractors.size(),
                                   table.answers.size(), labels);
}

absl::StatusOr<Labels> Classes(const Crowd& crowd, const std::string& method,
                               AggregateSummary& summary) {
  ASSIGN_OR_RETURN(const batch::Method chosen, batch::ParseMethod(method));
  ASSIGN_OR_RETURN(const batch::LabelMatrix matrix, Matrix(crowd.table));
  ASSIGN_OR_RETURN(const batch::ClassLabels result,
                   batch::AggregateClasses(matrix, crowd.gold, chosen));
  summary.calibrated_on_gold = result.calibrated_on_gold;
  summary.classes = matrix.classes();
  Labels labels;
  for (const int32_t label : result.label) {
    labels.label.push_back(crowd.table.answers.names()[label]);  // Every task has an answer.
  }
  labels.confidence = result.confidence;
  return labels;
}

absl::StatusOr<Labels> Texts(const Crowd& crowd, const std::string& method,
                             AggregateSummary& summary) {
  ASSIGN_OR_RETURN(const batch::TextMethod chosen, batch::ParseTextMethod(method));
  ASSIGN_OR_RETURN(const batch::LabelMatrix matrix, Matrix(crowd.table));
  ASSIGN_OR_RETURN(batch::TextLabels result,
                   batch::AggregateTexts(matrix, crowd.table.answers.names(), crowd.gold, chosen));
  summary.calibrated_on_gold = result.calibrated_on_gold;
  summary.method = std::string(batch::TextMethodName(result.method));
  return Labels{std::move(result.label), std::move(result.confidence)};
}

// The ratings by number; a failure names the first line that holds what is none.
absl::StatusOr<std::vector<double>> RatingValues(const AggregateOptions& options,
                                                 const CrowdTable& table) {
  std::vector<double> values;
  for (int32_t answer = 0; answer < table.answers.size(); ++answer) {
    double value = 0;
    const std::string& text = table.answers.names()[answer];
    if (absl::SimpleAtod(text, &value) && std::isfinite(value)) {
      values.push_back(value);
      continue;
    }
    const auto row = std::find_if(table.rows.begin(), table.rows.end(),
                                  [&](const CrowdRow& r) { return r.answer == answer; });
    const std::string where =
        row == table.rows.end()
            ? options.gold
            : absl::StrCat(options.labels, ":", table.lines[row - table.rows.begin()]);
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": the rating '", text, "' is not a finite number"));
  }
  return values;
}

absl::StatusOr<Labels> Ratings(const Crowd& crowd, const AggregateOptions& options,
                               AggregateSummary& summary) {
  ASSIGN_OR_RETURN(const batch::RatingMethod chosen, batch::ParseRatingMethod(options.method));
  ASSIGN_OR_RETURN(const std::vector<double> values, RatingValues(options, crowd.table));
  ASSIGN_OR_RETURN(const batch::LabelMatrix matrix, Matrix(crowd.table));
  ASSIGN_OR_RETURN(const batch::RatingLabels result,
                   batch::AggregateRatings(matrix, values, crowd.gold, chosen));
  summary.calibrated_on_gold = result.calibrated_on_gold;
  Labels labels;
  for (const double label : result.label) labels.label.push_back(absl::StrFormat("%.6g", label));
  labels.confidence = result.confidence;
  return labels;
}

// The kind asked for, or by the columns: `label` is a class, `text` alone a text.
absl::StatusOr<std::string> KindOf(const AggregateOptions& options) {
  if (options.kind == "class" || options.kind == "text" || options.kind == "rating") {
    return options.kind;
  }
  if (!options.kind.empty()) {
    return FieldError("--kind",
                      absl::StrCat("no kind '", options.kind, "'; there are: class text rating"));
  }
  ASSIGN_OR_RETURN(const CsvReader reader, CsvReader::Open(options.labels));
  return reader.Column("label").ok() || !reader.Column("text").ok() ? "class" : "text";
}

absl::StatusOr<Crowd> Read(const AggregateOptions& options, AggregateSummary& summary) {
  CrowdColumns columns;
  columns.empty_answers = summary.kind == "text";
  if (summary.kind == "text") columns.answer = {"text", "label"};
  Crowd crowd;
  ASSIGN_OR_RETURN(crowd.table, ReadCrowdTable(options.labels, columns));
  crowd.gold.assign(crowd.table.tasks.size(), batch::kUnknown);
  if (!options.gold.empty()) {
    ASSIGN_OR_RETURN(CrowdTruth truth, ReadCrowdTruth(options.gold, columns, crowd.table));
    crowd.gold = std::move(truth.answer);
    summary.gold_unknown_tasks = truth.unknown_tasks;
  }
  SortAnswers(crowd.table, crowd.gold);
  summary.tasks = crowd.table.tasks.size();
  summary.contractors = crowd.table.contractors.size();
  summary.answers = static_cast<int64_t>(crowd.table.rows.size());
  summary.repeats_dropped = crowd.table.repeats;
  summary.gold_tasks = summary.tasks - std::count(crowd.gold.begin(), crowd.gold.end(), -1);
  return crowd;
}

}  // namespace

absl::StatusOr<AggregateSummary> AggregateFile(const AggregateOptions& options) {
  AggregateSummary summary;
  ASSIGN_OR_RETURN(summary.kind, KindOf(options));
  summary.method = options.method;
  ASSIGN_OR_RETURN(const Crowd crowd, Read(options, summary));
  absl::StatusOr<Labels> labels = summary.kind == "class"  ? Classes(crowd, options.method, summary)
                                  : summary.kind == "text" ? Texts(crowd, options.method, summary)
                                                           : Ratings(crowd, options, summary);
  RETURN_IF_ERROR(labels.status());
  std::string csv = "task,label,confidence\n";
  for (int32_t task = 0; task < crowd.table.tasks.size(); ++task) {
    absl::StrAppend(&csv, CsvField(crowd.table.tasks.names()[task]), ",",
                    CsvField(labels->label[task]), ",",
                    absl::StrFormat("%.6f", labels->confidence[task]), "\n");
    summary.mean_confidence += labels->confidence[task] / static_cast<double>(summary.tasks);
  }
  RETURN_IF_ERROR(WriteFile(options.out, csv));
  return summary;
}

}  // namespace fairlead::cli
