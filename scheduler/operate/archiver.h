// LOOP: ended tasks leave Redis once their retention is over, so that its memory is bounded by open
// work, not by history. The record log keeps them: reads fall through to it (store/task_archive.h).
// One conditional function a task: it must still be ended, for as long as that, and the log must
// hold everything of it. Twice, or in two replicas, changes nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "scheduler/store/redis_task_store.h"

namespace fairlead::operate {

// How long ended tasks stay in Redis, for quick reads; dead letters, to be replayed.
struct Retention {
  absl::Duration ended = absl::Hours(24 * 7);
  int64_t ended_count = 100'000;  // A shard; the oldest leave first.
  absl::Duration dead = absl::Hours(24 * 90);
  int64_t dead_count = 10'000;  // A shard.

  // FIELD_INVALID naming the setting: a duration below a second, a count below 0.
  absl::Status Validate() const;
};

// Thread-compatible: one thread calls RunOnce.
class Archiver {
 public:
  // `logged(slot)`: up to which event the record log holds the slot's.
  Archiver(store::RedisTaskStore* tasks, std::function<uint64_t(absl::string_view slot)> logged,
           const Retention& retention)
      : tasks_(tasks), logged_(std::move(logged)), retention_(retention) {}

  // Looks at the oldest 500 of each queue of each shard; returns how many have left. Counted in
  // fairlead_tasks_archived_total{queue, reason}; one line of log a queue that gave any.
  absl::StatusOr<int> RunOnce(absl::Time now);

 private:
  struct Queue {
    std::string key;
    bool dead = false;
    absl::Duration age;
    int64_t count = 0;
  };
  absl::StatusOr<int> Archive(const std::string& slot, const Queue& queue, absl::Time now);
  // The key of each task's project; "" for a task that is gone.
  absl::StatusOr<std::vector<std::string>> ProjectsOf(const std::string& slot,
                                                      const std::vector<std::string>& tasks);

  store::RedisTaskStore* const tasks_;
  const std::function<uint64_t(absl::string_view)> logged_;
  const Retention retention_;
};

}  // namespace fairlead::operate
