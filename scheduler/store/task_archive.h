// Reads of tasks wherever they are: in Redis while they are open and for their retention, in the
// record log after that (operate/archiver.h).
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "scheduler/store/log_index.h"
#include "scheduler/store/task_store.h"

namespace fairlead::store {

// Thread-safe.
class TaskArchive {
 public:
  TaskArchive(const TaskStore* tasks, const LogIndex* index) : tasks_(tasks), index_(index) {}

  // NOT_FOUND when neither has such a task of that project; UNAVAILABLE when the log has it open
  // and Redis does not have it (yet): it is being rebuilt.
  absl::StatusOr<TaskState> Load(const TaskRef& ref) const;

  // What a contractor is told whose verb ended with `refusal`: the same, unless that is NOT_FOUND
  // of a task that has ended and left. Then as if it had not left: FAILED_PRECONDITION /
  // STATE_SUBMITTED for the token of an accepted answer, ABORTED / LEASE_LOST for any other.
  absl::Status RefusalOf(const absl::Status& refusal, const TaskRef& ref,
                         absl::string_view contractor, absl::string_view token) const;
  // The accepted answer that a contractor gave under `token`: the first receipt, again. Else as
  // RefusalOf.
  absl::StatusOr<v1::AnnotationRecord> FirstAnnotation(const absl::Status& refusal,
                                                       const TaskRef& ref,
                                                       absl::string_view contractor,
                                                       absl::string_view token) const;

 private:
  absl::StatusOr<TaskState> LoadLogged(const TaskRef& ref) const;

  const TaskStore* const tasks_;
  const LogIndex* const index_;
};

}  // namespace fairlead::store
