// The tasks' queues: one verb, one transition (hops 3, 6, 7, 8 and 10 of ARCHITECTURE.md). In Redis
// (redis_task_store.h) a verb is one server-side function on one slot; the twin in memory
// (memory_task_store.h) does the same under the same contract suite, for simulation.
//
// `seq` in the results names the event that the transition wrote: what is acknowledged to anybody
// outside waits for it with EventFollower::AwaitDurable. Errors besides those named: UNAVAILABLE
// (retry: every verb is idempotent or refused the second time).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "fairlead/store/v1/records.pb.h"
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
  int over = 0;   // Offers that may be out beyond the places wanted: the first to accept takes one.
  int spare = 0;  // Accepted work beyond that: somebody is slow.
  // Only of a place that overdue work has: then no answer more may come of the task than before.
  bool from_overdue = false;
};

struct Accepted {
  int64_t deadline_ms = 0;
  uint64_t seq = 0;
  v1::TaskRecord record;  // As submitted.
  bool has_prelabel = false;
  v1::PrelabelRecord prelabel;
};

struct Extended {
  int64_t deadline_ms = 0;
  uint64_t seq = 0;
};

// Work windows from acceptance to the last deadline that extending gives.
inline constexpr int kMostWindows = 4;

struct Annotated {
  // As first accepted. Surplus is not kept but for its place: of a repetition, the answer is this
  // call's, and all else the first one's.
  v1::AnnotationRecord record;
  uint64_t seq = 0;  // When repeated: the slot's last.
};

// Everything about one task.
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

// When an ended task may leave the queues.
struct ArchiveTerms {
  bool dead = false;        // A dead letter; else one that ended otherwise.
  int64_t ended_by_ms = 0;  // It ended then or before.
  uint64_t logged_seq = 0;  // The record log holds its slot's events up to here.
};

// PORT: the tasks' queues. Thread-safe.
class TaskStore {
 public:
  explicit TaskStore(Topology topology) : topology_(topology) {}
  virtual ~TaskStore() = default;
  TaskStore(const TaskStore&) = delete;
  TaskStore& operator=(const TaskStore&) = delete;

  // ALREADY_EXISTS when a project of that key is there (expected_revision 0); ABORTED /
  // REVISION_CHANGED; NOT_FOUND. Returns the event's seq.
  virtual absl::StatusOr<uint64_t> PutProject(const v1::ProjectRecord& record,
                                              int64_t expected_revision) = 0;
  // All tasks are of `project`. NOT_FOUND; ALREADY_EXISTS / REQUEST_ID_REUSED; RESOURCE_EXHAUSTED /
  // QUEUE_FULL above the backlog cap or when Redis is full.
  virtual absl::StatusOr<Submitted> Submit(absl::string_view project, absl::string_view request_id,
                                           absl::string_view body_hash,
                                           const std::vector<v1::TaskRecord>& tasks) = 0;
  // Commits offers of one shard; returns which were still valid, in order. Where more are out than
  // places wanted, the acceptance that takes the last place makes the others TAKEN. Overdue work
  // has its place until that is offered to somebody else, which makes it WITHDRAWN: the longest
  // overdue first, where no other place is free, or where the terms say so.
  virtual absl::StatusOr<std::vector<bool>> Offer(absl::string_view slot,
                                                  const std::vector<OfferTerms>& terms) = 0;
  // ABORTED / LEASE_LOST; FAILED_PRECONDITION / STATE_SUBMITTED.
  virtual absl::StatusOr<Accepted> Accept(const TaskRef& ref, absl::string_view contractor,
                                          absl::string_view token) = 0;
  // The whole work window again from now, at most kMostWindows of them since it was accepted; the
  // deadline that stands where there is no more. ABORTED / LEASE_LOST, also once the window has
  // closed; FAILED_PRECONDITION / STATE_PLACE.
  virtual absl::StatusOr<Extended> Extend(const TaskRef& ref, absl::string_view contractor,
                                          absl::string_view token) = 0;
  // `to`: DECLINED, RETURNED or REPORTED. ABORTED / LEASE_LOST; FAILED_PRECONDITION / STATE_….
  // LAPSED or OVERDUE, whichever it is then: what time does to a place past its deadline, whatever
  // the token; OK with seq 0 when there is nothing to do yet or any more.
  virtual absl::StatusOr<uint64_t> Release(const TaskRef& ref, absl::string_view contractor,
                                           absl::string_view token, v1::Placement::State to,
                                           absl::string_view reason) = 0;
  // Work that was accepted when its task ended and is finished in its window is `surplus`.
  // ABORTED / LEASE_LOST (the work is kept for pay review); FAILED_PRECONDITION /
  // STATE_NOT_ACCEPTED.
  virtual absl::StatusOr<Annotated> Annotate(const TaskRef& ref, absl::string_view contractor,
                                             absl::string_view token,
                                             const v1::AnnotationRecord& record) = 0;
  // Compare-and-set of `version`: false when the task has moved on.
  virtual absl::StatusOr<bool> Complete(const TaskRef& ref, int64_t version,
                                        const v1::LabelRecord& label) = 0;
  virtual absl::StatusOr<bool> SetWant(const TaskRef& ref, int64_t version, int32_t want) = 0;
  // Ends a task as CANCELLED, EXPIRED or DEAD. FAILED_PRECONDITION / STATE_TERMINAL; cancelling a
  // cancelled task is OK with seq 0. EXPIRED before its time is OK and does nothing.
  virtual absl::StatusOr<uint64_t> End(const TaskRef& ref, fairlead::v1::Task::State state,
                                       absl::string_view reason) = 0;
  // OK and no effect when the task has ended.
  virtual absl::Status Prelabel(const TaskRef& ref, const v1::PrelabelRecord& record) = 0;
  virtual absl::Status Start(const TaskRef& ref) = 0;
  // FAILED_PRECONDITION / STATE_NOT_DEAD, or STATE_RETRACTED for gold that was.
  virtual absl::StatusOr<uint64_t> Replay(const TaskRef& ref, absl::Time expire) = 0;
  // An ended task's answer by `left.contractor()` is replaced by `left`, what is kept of it. The
  // caller has found the task: one that has left the store is none that it never had. NOT_FOUND,
  // also ANNOTATION_NOT_FOUND; FAILED_PRECONDITION / STATE_NOT_TERMINAL.
  virtual absl::StatusOr<uint64_t> Erase(const TaskRef& ref, const v1::AnnotationRecord& left) = 0;
  // An ended gold task gets `label`, which says why it was taken back. The caller has found the
  // task, as for Erase. NOT_FOUND; FAILED_PRECONDITION / STATE_NOT_TERMINAL.
  virtual absl::StatusOr<uint64_t> Retract(const TaskRef& ref, const v1::LabelRecord& label) = 0;
  // An ended task leaves the store; the project's counts stay. False when the terms are not met
  // (yet), or it has left already.
  virtual absl::StatusOr<bool> Archive(const TaskRef& ref, const ArchiveTerms& terms) = 0;

  // NOT_FOUND when the store does not have it (any more: see TaskArchive).
  virtual absl::StatusOr<TaskState> Load(const TaskRef& ref) const = 0;
  virtual absl::StatusOr<ProjectCounts> Counts(absl::string_view project) const = 0;

  const Topology& topology() const { return topology_; }

 private:
  const Topology topology_;
};

// "READY" ↔ Task::READY and so on; STATE_UNSPECIFIED for anything else.
fairlead::v1::Task::State TaskStateOf(absl::string_view word);
v1::Placement::State PlacementStateOf(absl::string_view word);
// Answers in order of acceptance, and of contractors in the same millisecond.
bool AcceptedBefore(const v1::AnnotationRecord& a, const v1::AnnotationRecord& b);
// Smaller is offered first: priority, then age.
int64_t RankOf(const v1::TaskRecord& task);

}  // namespace fairlead::store
