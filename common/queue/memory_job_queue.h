// The machine lane in memory: the twin of RedisJobQueue for tests and simulation, held to the same
// contract suite. It forgets nothing, and nothing of it survives the process.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <random>
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

namespace fairlead::queue {

class MemoryJobQueue final : public JobQueue {
 public:
  // `clock` outlives the queue. `on_finished` is called, outside locks, for each job that ended, as
  // the lane's event stream would tell it.
  MemoryJobQueue(const Clock* clock, uint64_t seed,
                 std::function<void(const store::v1::JobFinished&)> on_finished = nullptr);

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

 private:
  enum class State { kReady, kDelayed, kLeased, kDone, kDead };
  struct Job {
    store::v1::JobRecord record;
    State state = State::kReady;
    int priority = 0;
    bool head = false;  // Handed back: before all others of its priority.
    absl::Time enqueue_time;
    absl::Time due;  // kDelayed.
    absl::Time dead_time;
    int32_t attempts = 0;
    int32_t crashes = 0;
    std::string session;  // kLeased.
    std::string token;
    std::string error;
    std::string note;
  };
  struct Session {
    absl::Time expiry;
    std::string description;
    std::map<std::string, std::string> grants;  // token → job, live or not.
  };
  using Finished = std::vector<store::v1::JobFinished>;

  Job* Live(const std::string& session, const std::string& token)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Job* Release(const std::string& session, const std::string& token)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Settle(const TickRequest& request, absl::Time now, TickResponse* response,
              Finished* finished) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Fail(Job* job, const Nack& nack, absl::Time now, Finished* finished)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Bury(Job* job, const std::string& error, absl::Time now, Finished* finished)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LeaseJobs(const TickRequest& request, TickResponse* response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Expire(const std::string& session, absl::Time now, Finished* finished)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  int Promote(absl::Time now, int limit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Tell(const Finished& finished);

  const Clock* const clock_;
  const std::function<void(const store::v1::JobFinished&)> on_finished_;

  Mutex mu_;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Job> jobs_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Session> sessions_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> ended_sessions_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> drained_ ABSL_GUARDED_BY(mu_);
};

}  // namespace fairlead::queue
