// What the services read and write through; built once by the server.
#pragma once

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/blob/blob_store.h"
#include "common/queue/job_queue.h"
#include "scheduler/api/auth.h"
#include "scheduler/api/job_grants.h"
#include "scheduler/dispatch/task_view.h"
#include "scheduler/quality/qualification_book.h"
#include "scheduler/quality/score_book.h"
#include "scheduler/quality/spend_book.h"
#include "scheduler/store/event_follower.h"
#include "scheduler/store/home_store.h"
#include "scheduler/store/log_index.h"
#include "scheduler/store/redis_task_store.h"
#include "scheduler/store/registry_store.h"
#include "scheduler/store/registry_view.h"
#include "scheduler/store/task_archive.h"

namespace fairlead::api {

struct Parts {
  const Clock* clock;
  const Authenticator* authenticator;
  store::RedisTaskStore* tasks;
  const store::TaskArchive* archive;
  store::HomeStore* homes;
  store::RegistryStore* registry_store;
  const store::RegistryView* registry;
  const store::LogIndex* index;
  store::EventFollower* follower;
  const dispatch::TaskView* view;
  const quality::ScoreBook* scores;
  BlobStore* blobs;
  queue::JobQueue* jobs;
  JobGrants* grants;
  const quality::SpendBook* spend;
  const quality::QualificationBook* qualifications;
};

// How long a call waits for its event to be on disk before it answers DEADLINE_EXCEEDED.
constexpr absl::Duration kDurableTimeout = absl::Seconds(10);

// The event `seq` of the task shard of `project` on disk: what may be acknowledged. `life` is the
// follower's from before the call that made it.
inline absl::Status AwaitTask(const Parts& parts, absl::string_view project, uint64_t seq,
                              uint64_t life) {
  return parts.follower->AwaitDurable({parts.tasks->topology().ShardOf(project), seq, life},
                                      kDurableTimeout);
}

}  // namespace fairlead::api
