// The tasks' queues in Redis: one verb, one function of common/redis/lua/task.*.lua, one slot.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/redis/connection.h"
#include "scheduler/store/slot_caller.h"
#include "scheduler/store/task_store.h"

namespace fairlead::store {

// What becomes of a task whose answers were weighed, if it still is of the version they were read
// at.
struct Conclusion {
  TaskRef ref;
  int64_t version = 0;
  std::optional<v1::LabelRecord> label;  // It is completed with this; else
  std::string broken;                    // unless empty: it goes to the dead letters; else
  int32_t want = 0;                      // so many answers are wanted from now on.
};

// Thread-safe.
class RedisTaskStore final : public TaskStore {
 public:
  RedisTaskStore(const SlotCaller* caller, Topology topology)
      : TaskStore(topology), caller_(caller) {}

  absl::StatusOr<uint64_t> PutProject(const v1::ProjectRecord& record,
                                      int64_t expected_revision) override;
  absl::StatusOr<Submitted> Submit(absl::string_view project, absl::string_view request_id,
                                   absl::string_view body_hash,
                                   const std::vector<v1::TaskRecord>& tasks) override;
  absl::StatusOr<std::vector<bool>> Offer(absl::string_view slot,
                                          const std::vector<OfferTerms>& terms) override;
  absl::StatusOr<Accepted> Accept(const TaskRef& ref, absl::string_view contractor,
                                  absl::string_view token) override;
  absl::StatusOr<Extended> Extend(const TaskRef& ref, absl::string_view contractor,
                                  absl::string_view token) override;
  absl::StatusOr<uint64_t> Release(const TaskRef& ref, absl::string_view contractor,
                                   absl::string_view token, v1::Placement::State to,
                                   absl::string_view reason) override;
  absl::StatusOr<Annotated> Annotate(const TaskRef& ref, absl::string_view contractor,
                                     absl::string_view token,
                                     const v1::AnnotationRecord& record) override;
  absl::StatusOr<bool> Complete(const TaskRef& ref, int64_t version,
                                const v1::LabelRecord& label) override;
  absl::StatusOr<bool> SetWant(const TaskRef& ref, int64_t version, int32_t want) override;
  absl::StatusOr<uint64_t> End(const TaskRef& ref, fairlead::v1::Task::State state,
                               absl::string_view reason) override;
  absl::Status Prelabel(const TaskRef& ref, const v1::PrelabelRecord& record) override;
  absl::Status Start(const TaskRef& ref) override;
  absl::StatusOr<uint64_t> Replay(const TaskRef& ref, absl::Time expire) override;
  absl::StatusOr<uint64_t> Erase(const TaskRef& ref, const v1::AnnotationRecord& left) override;
  absl::StatusOr<uint64_t> Retract(const TaskRef& ref, const v1::LabelRecord& label) override;
  absl::StatusOr<bool> Archive(const TaskRef& ref, const ArchiveTerms& terms) override;
  absl::StatusOr<TaskState> Load(const TaskRef& ref) const override;
  absl::StatusOr<ProjectCounts> Counts(absl::string_view project) const override;

  // Those of `tasks` of one shard that are there, in one round trip.
  absl::StatusOr<std::vector<TaskState>> LoadAll(absl::string_view slot,
                                                 const std::vector<std::string>& tasks) const;
  // Complete, End as DEAD or SetWant for each, in one round trip. A task that has moved on is left
  // as it is: OK. What failed otherwise is in its place.
  absl::StatusOr<std::vector<absl::Status>> Conclude(absl::string_view slot,
                                                     const std::vector<Conclusion>& conclusions);

  // For the loops, which read the queues themselves.
  const SlotCaller& caller() const { return *caller_; }

 private:
  absl::StatusOr<Outcome> InvokeTask(absl::string_view function, const TaskRef& ref,
                                     redis::Arguments arguments) const;
  Invocation TaskInvocation(absl::string_view function, const TaskRef& ref,
                            redis::Arguments arguments) const;

  const SlotCaller* const caller_;
};

// Reads the places and annotations of a task from its HASH reply. Exposed for the snapshot.
void ParsePlaces(const redis::Reply& hash, TaskState& state);
// Reads the task's HASH reply; false when it is empty or damaged.
bool ParseTask(const redis::Reply& hash, TaskState& state);

}  // namespace fairlead::store
