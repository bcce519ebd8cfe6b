// What `fairlead aggregate` does, apart from arguments and printing: a file of answers in, a file
// of labels out.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace fairlead::cli {

struct AggregateOptions {
  std::string labels, out, gold;  // Paths; no gold when empty.
  std::string kind;               // class, text or rating; by the file's columns when empty.
  std::string method = "auto";
};

struct AggregateSummary {
  std::string kind, method;
  int64_t tasks = 0, contractors = 0, answers = 0, classes = 0;
  int64_t repeats_dropped = 0;
  int64_t gold_tasks = 0, gold_unknown_tasks = 0;
  bool calibrated_on_gold = false;
  double mean_confidence = 0;
};

// Writes task,label,confidence, a row for each task in order of first appearance, at once (the file
// is there whole or not at all). INVALID_ARGUMENT naming file and line, or the option; NOT_FOUND
// for files and columns.
absl::StatusOr<AggregateSummary> AggregateFile(const AggregateOptions& options);

}  // namespace fairlead::cli
