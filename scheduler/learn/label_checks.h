// Labels that are likely wrong go to people once more: a job reads all of them by models that were
// not trained on them, and what it doubts becomes a task of its own, whose label replaces the
// doubted one in the next manifest. The steps here are pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "fairlead/store/v1/records.pb.h"

namespace fairlead::learn {

// Whether the project's labels are due for a check: it asks for one, none is under way, and enough
// labels have come since the last.
bool CheckIsDue(const store::v1::ProjectRecord& project, const store::v1::ModelRecord& model,
                int64_t labels);

// The job over this manifest, noted in the model's record as under way.
store::v1::JobRecord BeginCheck(const std::string& manifest_blob, int64_t labels,
                                store::v1::ModelRecord& model);

// Clears the job from the model's record and counts `doubted` labels. Returns whether it was the
// one under way.
bool EndCheck(const store::v1::JobFinished& finished, int64_t doubted,
              store::v1::ModelRecord& model);

// The task that checks the label of `item`: the same payload, group and priority as a task of its
// own for at least two people. `id`: of the new task.
store::v1::TaskRecord CheckTask(const store::v1::ProjectRecord& project,
                                const store::v1::DatasetManifest::Item& item, const std::string& id,
                                int64_t now_ms);

}  // namespace fairlead::learn
