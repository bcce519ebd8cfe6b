#include "common/queue/job_queue.h"

#include <utility>

#include "common/base/status.h"

namespace fairlead::queue {

absl::StatusOr<bool> JobQueue::Enqueue(const store::v1::JobRecord& job, int priority) {
  std::vector<NewJob> batch(1);
  batch[0].record = job;
  batch[0].priority = priority;
  ASSIGN_OR_RETURN(const std::vector<bool> added, EnqueueBatch(batch));
  return added[0];
}

absl::Status JobQueue::Replay(absl::string_view job) {
  ASSIGN_OR_RETURN(const std::vector<absl::Status> each, ReplayAll({std::string(job)}));
  return each[0];
}

absl::StatusOr<std::vector<DeadJob>> JobQueue::Dead(int offset, int limit) {
  DeadQuery query;
  query.offset = offset;
  query.limit = limit;
  ASSIGN_OR_RETURN(DeadPage page, SearchDead(query));
  return std::move(page.jobs);
}

}  // namespace fairlead::queue
