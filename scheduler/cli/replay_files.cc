#include "scheduler/cli/replay_files.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "scheduler/cli/crowd_table.h"

namespace fairlead::cli {

absl::StatusOr<ReplayFiles> ReadReplayFiles(const std::string& directory) {
  CrowdColumns columns;
  columns.with_seconds = true;
  ASSIGN_OR_RETURN(CrowdTable table,
                   ReadCrowdTable(absl::StrCat(directory, "/labels.csv"), columns));
  ASSIGN_OR_RETURN(CrowdTruth truth,
                   ReadCrowdTruth(absl::StrCat(directory, "/truth.csv"), columns, table));
  ReplayFiles files;
  files.repeats = table.repeats;
  files.unknown_tasks = truth.unknown_tasks;
  files.set.tasks = table.tasks.size();
  files.set.contractors = table.contractors.size();
  files.set.classes = table.answers.size();
  files.set.truth = std::move(truth.answer);
  for (const std::string& name : table.contractors.names()) {
    files.set.contractor_hash.push_back(StableHash64(name));
  }
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const CrowdRow& row = table.rows[i];
    const double seconds =
        table.seconds.empty() ? std::numeric_limits<double>::quiet_NaN() : table.seconds[i];
    files.set.answers.push_back({row.task, row.contractor, row.answer, seconds});
  }
  return files;
}

}  // namespace fairlead::cli
