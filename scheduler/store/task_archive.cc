#include "scheduler/store/task_archive.h"

#include <limits>
#include <utility>

#include "common/base/status.h"
#include "scheduler/store/task_fold.h"
#include "scheduler/store/task_refusals.h"

namespace fairlead::store {

absl::StatusOr<TaskState> TaskArchive::LoadLogged(const TaskRef& ref) const {
  ASSIGN_OR_RETURN(v1::Event submission, index_->SubmissionEvent(ref.task));
  // Task ids are no secret: the project is what the caller was authorised for.
  if (submission.project() != ref.project) return NoSuchTask(ref.task);
  ASSIGN_OR_RETURN(std::vector<v1::Event> history,
                   index_->History(ref.task, std::numeric_limits<size_t>::max()));
  for (const v1::TaskRecord& record : submission.tasks_submitted().tasks()) {
    if (record.task() != ref.task) continue;
    TaskFold fold(record, submission);
    for (const v1::Event& event : history) fold.Apply(event);
    if (fold.ended()) return fold.ToState();
    return Error(absl::StatusCode::kUnavailable, "STORE_RECOVERING",
                 "the queues are being recovered; try again");
  }
  return NoSuchTask(ref.task);
}

absl::StatusOr<TaskState> TaskArchive::Load(const TaskRef& ref) const {
  absl::StatusOr<TaskState> stored = tasks_->Load(ref);
  if (!absl::IsNotFound(stored.status())) return stored;
  return LoadLogged(ref);
}

absl::Status TaskArchive::RefusalOf(const absl::Status& refusal, const TaskRef& ref,
                                    absl::string_view contractor, absl::string_view token) const {
  if (!absl::IsNotFound(refusal)) return refusal;
  absl::Status first = FirstAnnotation(refusal, ref, contractor, token).status();
  return first.ok() ? AlreadySubmitted() : first;
}

absl::StatusOr<v1::AnnotationRecord> TaskArchive::FirstAnnotation(const absl::Status& refusal,
                                                                  const TaskRef& ref,
                                                                  absl::string_view contractor,
                                                                  absl::string_view token) const {
  if (!absl::IsNotFound(refusal)) return refusal;
  absl::StatusOr<TaskState> task = LoadLogged(ref);
  if (absl::IsNotFound(task.status())) return refusal;
  RETURN_IF_ERROR(task.status());
  for (v1::AnnotationRecord& record : task->annotations) {
    if (record.contractor() == contractor && record.token() == token) return std::move(record);
  }
  ASSIGN_OR_RETURN(std::vector<v1::Event> history,
                   index_->History(ref.task, std::numeric_limits<size_t>::max()));
  for (v1::Event& event : history) {
    v1::AnnotationRecord& record = *event.mutable_orphaned();
    if (record.surplus() && record.contractor() == contractor && record.token() == token) {
      return std::move(record);
    }
  }
  return LeaseLost(ref.task);
}

}  // namespace fairlead::store
