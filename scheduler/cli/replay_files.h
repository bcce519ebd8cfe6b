// A folder of crowd answers as a set to replay: labels.csv (task,worker,label[,time_s]) and
// truth.csv (task,label).
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "scheduler/replay/replay_set.h"

namespace fairlead::cli {

struct ReplayFiles {
  replay::ReplaySet set;
  int64_t repeats = 0;        // Rows dropped: a second answer of a contractor to a task.
  int64_t unknown_tasks = 0;  // Truths of tasks that nobody answered: not used.
};

// The errors of crowd_table.h. A truth that no answer names counts as a class of its own.
absl::StatusOr<ReplayFiles> ReadReplayFiles(const std::string& directory);

}  // namespace fairlead::cli
