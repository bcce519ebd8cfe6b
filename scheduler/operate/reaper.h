// LOOP: what time does. Offers lapse and work becomes overdue, tasks start and expire, worker
// sessions end. Every step is a conditional transition by Redis' clock: running it twice, or in two
// replicas, changes nothing.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/queue/job_queue.h"
#include "scheduler/store/redis_task_store.h"

namespace fairlead::operate {

// Thread-compatible: one thread calls RunOnce.
class Reaper {
 public:
  Reaper(store::RedisTaskStore* tasks, queue::JobQueue* jobs) : tasks_(tasks), jobs_(jobs) {}

  // At most 100 of each kind a shard; returns how many were due.
  absl::StatusOr<int> RunOnce(absl::Time now);

 private:
  // Members of a ZSET of `slot` scored at or below now, with their tasks' projects in front:
  // {project, task, rest of the member}.
  struct Due {
    std::string project, task, contractor;
  };
  absl::StatusOr<std::vector<Due>> DueIn(const std::string& slot, const std::string& key,
                                         absl::Time now);

  store::RedisTaskStore* const tasks_;
  queue::JobQueue* const jobs_;
};

}  // namespace fairlead::operate
