// The twin of RedisTaskStore in memory, deliberately naive: maps, loops over everything, one mutex.
// It is what the contract says, in the plainest words; simulation runs thousands of histories on
// it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "scheduler/store/task_store.h"

namespace fairlead::store {

// Thread-safe. Keeps request ids for ever, where Redis keeps them for a week.
class MemoryTaskStore final : public TaskStore {
 public:
  MemoryTaskStore(const Clock* clock, Topology topology) : TaskStore(topology), clock_(clock) {}

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

 private:
  struct Place {
    v1::Placement is;
    bool orphaned = false;   // Its finished work was kept for pay review.
    int64_t surplus_ms = 0;  // When it was finished after the task's end; 0: it was not.
    std::optional<v1::AnnotationRecord> annotation;
  };
  struct Entry {
    TaskState state;  // Places and annotations apart.
    std::map<std::string, Place> places;
    int64_t end_ms = 0;
    uint64_t last_seq = 0;
    bool ended() const { return end_ms > 0; }
    bool wants_more() const { return state.have + state.open < state.want; }
    int free_places() const { return std::max(0, state.want - state.have - state.open); }
    int accepted() const;
    int overdue() const;
  };
  struct Project {
    int64_t revision = 0;
    bool paused = false;
    int64_t cap = 0;
    ProjectCounts archived;  // Of the tasks that have left.
    int64_t submitted = 0, annotations = 0;
  };
  struct Request {
    std::string body_hash;
    std::vector<std::string> tasks;
  };

  int64_t NowMs() const { return absl::ToUnixMillis(clock_->Now()); }
  // The sequence of one more event of a project's shard, and of its last.
  uint64_t Emit(absl::string_view project) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint64_t LastSeq(absl::string_view project) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Entry* Find(const TaskRef& ref) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Place* FindPlace(Entry* entry, absl::string_view contractor, absl::string_view token)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool OfferOne(const OfferTerms& terms) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Annotated Surplus(const TaskRef& ref, Entry* entry, Place* place, v1::AnnotationRecord record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Leaves `most` overdue places to those who had them.
  void TakeFromOverdue(const TaskRef& ref, Entry* entry, int most)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeTheRest(const TaskRef& ref, Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint64_t Finish(const TaskRef& ref, Entry* entry, fairlead::v1::Task::State state)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  ProjectCounts CountLocked(absl::string_view project) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Clock* const clock_;
  mutable Mutex mu_;
  std::map<std::string, Project> projects_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Entry> tasks_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<std::string, std::string>, Request> requests_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, uint64_t> seq_ ABSL_GUARDED_BY(mu_);  // By shard.
};

}  // namespace fairlead::store
