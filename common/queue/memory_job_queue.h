// The machine lane in memory: the twin of RedisJobQueue for tests and simulation, held to the same
// contract suite. Nothing of it survives the process.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/queue/job_queue.h"
#include "common/queue/memory_flows.h"

namespace fairlead::queue {

class MemoryJobQueue final : public JobQueue {
 public:
  // `clock` outlives the queue. `on_finished` is called, outside locks, for each job that ended, as
  // the lane's event stream would tell it.
  MemoryJobQueue(const Clock* clock, uint64_t seed,
                 std::function<void(const store::v1::JobFinished&)> on_finished = nullptr);

  absl::StatusOr<std::vector<bool>> EnqueueBatch(const std::vector<NewJob>& jobs) override;
  absl::StatusOr<TickResponse> Tick(const TickRequest& request) override;
  absl::StatusOr<std::vector<Lease>> Mine(absl::string_view session) override;
  absl::StatusOr<int> Reap(int limit) override;
  absl::Status Cancel(absl::string_view job) override;
  absl::StatusOr<std::vector<absl::Status>> ReplayAll(
      const std::vector<std::string>& jobs) override;
  absl::StatusOr<std::vector<absl::Status>> Purge(const std::vector<std::string>& jobs) override;
  absl::StatusOr<int> SetDrain(absl::string_view session, bool drain) override;
  absl::Status SetLimits(absl::string_view flow, const FlowLimits& limits) override;
  absl::Status SetRetention(const Retention& retention) override;
  absl::StatusOr<store::v1::JobRecord> Find(absl::string_view job) override;
  absl::StatusOr<JobView> Inspect(absl::string_view job) override;
  absl::StatusOr<std::vector<LaneStats>> Stats() override;
  absl::StatusOr<std::vector<SessionView>> Sessions(int limit) override;
  absl::StatusOr<DeadPage> SearchDead(const DeadQuery& query) override;

 private:
  struct Job {
    store::v1::JobRecord record;
    store::v1::JobResult result;
    JobState state = JobState::kReady;
    int priority = 0;
    absl::Time deadline = absl::InfiniteFuture();
    int job_class = 0;
    std::string flow;
    absl::Time due;  // kDelayed.
    absl::Time end;  // kDone, kDead.
    int32_t attempts = 0;
    int32_t crashes = 0;
    std::string error;
    std::string note;
  };
  struct Held {
    std::string job;  // Empty when it was given back.
    bool cancelled = false;
  };
  struct Grant {
    std::string name;
    std::vector<Held> entries;
  };
  struct Session {
    absl::Time expiry;
    std::string description;
    std::vector<std::string> kinds;
    Capabilities able;
    bool drain = false;
    bool idle = false;
    std::vector<Grant> grants;
    int held = 0;
  };
  using Finished = std::vector<store::v1::JobFinished>;

  // The entry of a token of the session; null when it is not (any more) the session's.
  Held* PlaceOf(Session* session, absl::string_view token) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Who holds a leased job.
  std::pair<std::string, Held*> HolderOf(const std::string& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes an entry off its holder; its job unless that was cancelled.
  Job* Release(Session* session, Held* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ToReady(Job* job, MemoryFlows::End end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<std::string> Settle(const TickRequest& request, Session* session, Finished* finished)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Complete(Job* job, const store::v1::JobResult& result, Finished* finished)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Fail(Job* job, const Nack& nack, Finished* finished) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Bury(Job* job, const std::string& error, Finished* finished)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Forget(const std::string& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetDone(bool by_age) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LeaseJobs(const TickRequest& request, Session* session, TickResponse* response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetTimer(const std::string& id, const Session& session, TickResponse* response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Expire(const std::string& session, Finished* finished) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  int Promote(int limit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<std::vector<absl::Status>> ForEachDead(const std::vector<std::string>& jobs,
                                                        const std::function<void(Job*)>& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  int64_t Now() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return absl::ToUnixMillis(now_); }
  void Tell(const Finished& finished);

  const Clock* const clock_;
  const std::function<void(const store::v1::JobFinished&)> on_finished_;

  Mutex mu_;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mu_);
  absl::Time now_ ABSL_GUARDED_BY(mu_);  // Of the call under way.
  Retention retention_ ABSL_GUARDED_BY(mu_);
  MemoryFlows flows_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Job> jobs_ ABSL_GUARDED_BY(mu_);
  int64_t live_ ABSL_GUARDED_BY(mu_) = 0;
  // Done jobs, by call, the oldest first; dead ones.
  std::deque<std::pair<absl::Time, std::vector<std::string>>> done_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> completing_ ABSL_GUARDED_BY(mu_);
  int64_t done_kept_ ABSL_GUARDED_BY(mu_) = 0;
  std::set<std::pair<absl::Time, std::string>> dead_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int64_t> done_by_kind_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Session> sessions_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> known_sessions_ ABSL_GUARDED_BY(mu_);  // To the callers.
  bool drain_all_ ABSL_GUARDED_BY(mu_) = false;
  std::pair<std::string, absl::Time> timer_
      ABSL_GUARDED_BY(mu_);  // Who waits for the next due job.
};

}  // namespace fairlead::queue
