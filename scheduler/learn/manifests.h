// Manifests: what a training or prelabel job works on, as content-addressed blobs (hop 11). The
// same labels give the same bytes and so the same job.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "fairlead/store/v1/records.pb.h"
#include "scheduler/store/log_index.h"
#include "scheduler/store/task_store.h"

namespace fairlead::learn {

// Every labelled task of the project: gold as the frozen test set, the others split by group, of
// what `last` (the manifest of the round before; nullptr in the first) does not hold a part as the
// prequential window; weight = the label's confidence. A task that checks another's label is no
// item of its own: its label stands in the place of the other's. A label to which an answer was
// deleted since is left out, and the one it stood in the place of; so is what a model decided
// alone, and gold that was retracted. Items in order of task id.
// O(labels), reads the record log.
absl::StatusOr<store::v1::DatasetManifest> BuildDataset(const store::v1::ProjectRecord& project,
                                                        const store::LogIndex& index,
                                                        const store::v1::DatasetManifest* last);

// Removes from `manifest` what an answer was deleted to, and retracted gold; returns how many
// items. Reads the log.
absl::StatusOr<int64_t> RemoveDeleted(const store::LogIndex& index,
                                      store::v1::DatasetManifest& manifest);

// The tasks that wait, with their payloads. Tasks that ended meanwhile are left out.
absl::StatusOr<store::v1::PrelabelManifest> BuildPrelabelManifest(
    const std::string& project, const std::string& version, const std::vector<std::string>& tasks,
    const store::TaskStore& store);

// Serialised with map keys in order, so that equal messages give equal bytes.
std::string DeterministicBytes(const google::protobuf::Message& message);

}  // namespace fairlead::learn
