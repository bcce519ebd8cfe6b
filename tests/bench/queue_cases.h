// The cases of the queue benchmark. Each starts its own redis-server and adds its figures.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "tests/bench/queue_run.h"

namespace fairlead::bench {

struct Flow {
  int batch = 1;     // Jobs a call carries.
  int projects = 1;  // Flows; the jobs of one call belong to one.
  Durability durability = Durability::kNone;
  int64_t jobs = 0;
  size_t payload = 128;
  bool drain_only = false;  // Enqueue first, time lease and ack alone.
};

// One producer and one consumer process, up to 32 calls in flight each, every job leased fairly and
// acked under its token: rate, redis_cpu, redis_commands.
absl::Status RunFlow(const std::string& name, const Flow& flow, Report* report);

// From the call that enqueues a job to its lease by a session that waits: p50 and p99.
absl::Status RunIdleWake(int samples, Report* report);
// 999 projects with a backlog and one with a single job: its wait, and the service gap.
absl::Status RunFlood(Report* report);
// Bytes of Redis memory a waiting job takes.
absl::Status RunMemory(Report* report);
// The case that the peers' processing is compared with.
inline constexpr char kPeersAgainst[] = "drain.b100.p1000.none";
// BullMQ, Sidekiq, Celery and RQ, as far as they are installed: rate of processing, redis_cpu of
// the whole life of a job, and how many times faster our drain was in the same run. Names the
// others and how to get them.
absl::Status RunPeers(Report* report);
// What any call costs here: a function that does nothing, and PING.
absl::Status RunFloor(Report* report);

}  // namespace fairlead::bench
