// The machine lane in Redis: JobQueue over the functions of common/redis/lua/lane.lua.
//
// The lane's incarnation is read when it is not known and read again when it has changed. A change
// means that Redis may have lost what it promised, so a session that lived under the old one is
// told `fenced`, as if it had expired, and begins anew. UNAVAILABLE / LANE_CLOSED while there is
// none.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/queue/job_queue.h"
#include "common/redis/connection.h"

namespace fairlead::queue {

class RedisJobQueue final : public JobQueue {
 public:
  // `pool` outlives the queue. `slot` is the lane's ("m0"). Time is Redis's own unless a simulation
  // gives its clock, which then outlives the queue.
  RedisJobQueue(redis::ConnectionPool* pool, std::string slot,
                const Clock* simulated_clock = nullptr);
  ~RedisJobQueue() override;

  absl::StatusOr<bool> Enqueue(const store::v1::JobRecord& job, int priority) override;
  absl::StatusOr<TickResponse> Tick(const TickRequest& request) override;
  absl::StatusOr<std::vector<Lease>> Mine(absl::string_view session) override;
  absl::StatusOr<int> Reap(int limit) override;
  absl::Status Cancel(absl::string_view job) override;
  absl::Status Replay(absl::string_view job) override;
  absl::StatusOr<int> Drain(absl::string_view session) override;
  absl::Status Undrain(absl::string_view session) override;
  absl::StatusOr<store::v1::JobRecord> Find(absl::string_view job) override;
  absl::StatusOr<std::vector<LaneStats>> Stats() override;
  absl::StatusOr<std::vector<SessionView>> Sessions(int limit) override;
  absl::StatusOr<std::vector<DeadJob>> Dead(int offset, int limit) override;

  // Blocks until something may have become ready (true) or `timeout` passed (false). One thread at
  // a time waits, on a connection of its own.
  absl::StatusOr<bool> WaitForWork(absl::Duration timeout);

 private:
  absl::StatusOr<std::string> Incarnation();
  void ForgetIncarnation(const std::string& stale);
  // One call under the known incarnation; the reply's code may be INCARNATION.
  absl::StatusOr<redis::Reply> CallOnce(absl::string_view function, const redis::Arguments& rest);
  // Reads the incarnation anew and calls once more when it has changed; other codes become a
  // Status.
  absl::StatusOr<redis::Reply> Call(absl::string_view function, const redis::Arguments& rest);

  redis::ConnectionPool* const pool_;
  const std::string slot_;
  const Clock* const simulated_clock_;  // Optional.
  const std::vector<std::string> keys_;

  Mutex mu_;
  std::string incarnation_ ABSL_GUARDED_BY(mu_);         // "" when not known.
  std::set<std::string> sessions_ ABSL_GUARDED_BY(mu_);  // Known to Redis under incarnation_.

  Mutex waiter_mu_;
  redis::Connection waiter_ ABSL_GUARDED_BY(waiter_mu_);
};

}  // namespace fairlead::queue
