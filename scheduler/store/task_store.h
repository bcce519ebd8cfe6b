// The tasks' side of Redis: one verb, one server-side function, one slot, one transition
// (hops 3, 6, 7, 8 and 10 of ARCHITECTURE.md).
//
// `seq` in the results names the event that the transition wrote: what is acknowledged to anybody
// outside waits for it with EventFollower::AwaitDurable. Errors besides those named: UNAVAILABLE
// (retry: every verb is idempotent or refused the second time). Thread-safe.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "fairlead/store/v1/records.pb.h"
#include "scheduler/store/slot_caller.h"
#include "scheduler/store/slots.h"

namespace fairlead::store {

// A task and where it is: `project` is `{tenant}/{project}`.
struct TaskRef {
  std::string project;
  std::string task;
};

struct Submitted {
  std::vector<std::string> tasks;  // The first call's ids, when repeated.
  uint64_t seq = 0;                // When repeated: the slot's last, which covers the first call's.
};

struct OfferTerms {
  TaskRef ref;
  std::string contractor;
  std::string assignment;
  std::string token;
  absl::Duration offer_window;
  absl::Duration work_window;
};

struct Accepted {
  int64_t deadline_ms = 0;
  uint64_t seq = 0;
};

struct Annotated {
  v1::AnnotationRecord record;  // As first accepted.
  uint64_t seq = 0;             // When repeated: the slot's last.
};

// Everything about one task, as Redis holds it.
struct TaskState {
  v1::TaskRecord record;
  fairlead::v1::Task::State state = fairlead::v1::Task::STATE_UNSPECIFIED;
  int64_t version = 0;
  int32_t want = 0, have = 0, open = 0;
  int32_t reports = 0;
  std::string end_reason;
  bool has_prelabel = false, has_label = false;
  v1::PrelabelRecord prelabel;
  v1::LabelRecord label;
  std::vector<v1::Placement> places;
  std::vector<v1::AnnotationRecord> annotations;  // In order of acceptance.
};

struct ProjectCounts {
  int64_t submitted = 0, ready = 0, delayed = 0, open = 0;
  int64_t completed = 0, cancelled = 0, expired = 0, dead = 0, annotations = 0;
};

class TaskStore {
 public:
  TaskStore(const SlotCaller* caller, Topology topology) : caller_(caller), topology_(topology) {}

  // ALREADY_EXISTS when a project of that key is there (expected_revision 0); ABORTED /
  // REVISION_CHANGED; NOT_FOUND. Returns the event's seq.
  absl::StatusOr<uint64_t> PutProject(const v1::ProjectRecord& record, int64_t expected_revision);
  // All tasks are of `project`. NOT_FOUND; ALREADY_EXISTS / REQUEST_ID_REUSED; RESOURCE_EXHAUSTED /
  // QUEUE_FULL above the backlog cap or when Redis is full.
  absl::StatusOr<Submitted> Submit(absl::string_view project, absl::string_view request_id,
                                   absl::string_view body_hash,
                                   const std::vector<v1::TaskRecord>& tasks);
  // Commits offers of one shard; returns which were still valid, in order.
  absl::StatusOr<std::vector<bool>> Offer(absl::string_view slot,
                                          const std::vector<OfferTerms>& terms);
  // ABORTED / LEASE_LOST; FAILED_PRECONDITION / STATE_SUBMITTED.
  absl::StatusOr<Accepted> Accept(const TaskRef& ref, absl::string_view contractor,
                                  absl::string_view token);
  // `to`: DECLINED, RETURNED or REPORTED. ABORTED / LEASE_LOST; FAILED_PRECONDITION / STATE_….
  absl::StatusOr<uint64_t> Release(const TaskRef& ref, absl::string_view contractor,
                                   absl::string_view token, v1::Placement::State to,
                                   absl::string_view reason);
  // Lapses or overdues a place whose deadline has passed; OK when there is nothing to do any more.
  absl::Status ReleaseDue(absl::string_view project, absl::string_view task,
                          absl::string_view contractor);
  // ABORTED / LEASE_LOST (the work is kept for pay review); FAILED_PRECONDITION /
  // STATE_NOT_ACCEPTED.
  absl::StatusOr<Annotated> Annotate(const TaskRef& ref, absl::string_view contractor,
                                     absl::string_view token, const v1::AnnotationRecord& record);
  // Compare-and-set of `version`: false when the task has moved on.
  absl::StatusOr<bool> Complete(const TaskRef& ref, int64_t version, const v1::LabelRecord& label);
  absl::StatusOr<bool> SetWant(const TaskRef& ref, int64_t version, int32_t want);
  // Ends a task as CANCELLED, EXPIRED or DEAD. FAILED_PRECONDITION / STATE_TERMINAL; cancelling a
  // cancelled task is OK with seq 0. EXPIRED before its time is OK and does nothing.
  absl::StatusOr<uint64_t> End(const TaskRef& ref, fairlead::v1::Task::State state,
                               absl::string_view reason);
  // OK and no effect when the task has ended.
  absl::Status Prelabel(const TaskRef& ref, const v1::PrelabelRecord& record);
  absl::Status Start(const TaskRef& ref);
  // FAILED_PRECONDITION / STATE_NOT_DEAD.
  absl::StatusOr<uint64_t> Replay(const TaskRef& ref, absl::Time expire);

  // NOT_FOUND when Redis does not have it.
  absl::StatusOr<TaskState> Load(const TaskRef& ref) const;
  absl::StatusOr<ProjectCounts> Counts(absl::string_view project) const;

  const Topology& topology() const { return topology_; }
  const SlotCaller& caller() const { return *caller_; }

 private:
  absl::StatusOr<Outcome> InvokeTask(absl::string_view function, const TaskRef& ref,
                                     redis::Arguments arguments) const;
  Invocation TaskInvocation(absl::string_view function, const TaskRef& ref,
                            redis::Arguments arguments) const;

  const SlotCaller* const caller_;
  const Topology topology_;
};

// Reads the places and annotations of a task from its HASH reply. Exposed for the snapshot.
void ParsePlaces(const redis::Reply& hash, TaskState& state);
// Reads the task's HASH reply; false when it is empty or damaged.
bool ParseTask(const redis::Reply& hash, TaskState& state);
// "READY" ↔ Task::READY and so on; STATE_UNSPECIFIED for anything else.
fairlead::v1::Task::State TaskStateOf(absl::string_view word);
v1::Placement::State PlacementStateOf(absl::string_view word);

}  // namespace fairlead::store
