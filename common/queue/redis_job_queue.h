// The machine lane in Redis: JobQueue over the functions of common/redis/lua/lane3.*.lua.
//
// The lane's incarnation is read when it is not known and read again when it has changed. A change
// means that Redis may have lost what it promised, so a session that lived under the old one is
// told `fenced`, as if it had expired, holds nothing (Mine) and begins anew. UNAVAILABLE /
// LANE_CLOSED while there is none, and from a restart of Redis until the scheduler has compared
// what is left with its record log.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/queue/job_queue.h"
#include "common/queue/lane_wire.h"
#include "common/redis/connection.h"

namespace fairlead::queue {

class RedisJobQueue final : public JobQueue {
 public:
  // `pool` outlives the queue. `slot` is the lane's ("m0"). Time is Redis's own unless a simulation
  // gives its clock, which then outlives the queue.
  RedisJobQueue(redis::ConnectionPool* pool, std::string slot,
                const Clock* simulated_clock = nullptr);
  ~RedisJobQueue() override;

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

  // Blocks until something may have become ready (true), or `timeout` passed or EndWait was called
  // (false). One thread at a time waits, on a connection of its own, where one blocked command
  // stays over the waits that found nothing: an idle worker costs Redis its heartbeat, a minute one
  // more.
  absl::StatusOr<bool> WaitForWork(absl::Duration timeout);
  // Takes this process off those that wait for work, for it has some: what becomes ready is
  // another's to do. The next WaitForWork waits again.
  void LeaveWait();
  // WaitForWork returns at once from now on. Async-signal-safe.
  void EndWait();

  // Several calls in one round trip, in order: they leave together and are answered together.
  // One Status for the transport, a lane that is not open and a full Redis (calls before the one
  // that it refused count); otherwise one answer each.
  absl::StatusOr<std::vector<absl::StatusOr<TickResponse>>> TickAll(
      const std::vector<TickRequest>& requests);
  absl::StatusOr<std::vector<absl::StatusOr<std::vector<bool>>>> EnqueueEach(
      const std::vector<std::vector<NewJob>>& batches);

 private:
  absl::StatusOr<std::string> Incarnation();
  void ForgetIncarnation(const std::string& stale);
  // LANE_CLOSED when Redis was restarted since the incarnation was given.
  absl::Status OrClosed(const absl::Status& status, const std::string& incarnation);
  // One call under an incarnation; the reply's code may be INCARNATION, then it is not known any
  // more.
  absl::StatusOr<redis::Reply> CallUnder(const std::string& incarnation, absl::string_view function,
                                         const redis::Arguments& rest);
  // Reads the incarnation anew and calls once more when it has changed; other codes become a
  // Status.
  absl::StatusOr<redis::Reply> Call(absl::string_view function, const redis::Arguments& rest);
  // Calls of one function under one incarnation; none that has run is repeated.
  absl::StatusOr<std::vector<redis::Reply>> CallAll(const std::string& incarnation,
                                                    absl::string_view function,
                                                    std::vector<redis::Arguments> calls);
  redis::Arguments Head(const std::string& incarnation) const;

  struct TickCall;
  // A tick of the session under the incarnation; nothing when it lived under another one.
  std::optional<TickCall> PrepareTick(const TickRequest& request, const std::string& incarnation);
  bool LivedUnderAnother(absl::string_view session, const std::string& incarnation);
  void ForgetSession(const std::string& session);
  TickResponse FenceOff(const TickRequest& request);
  absl::StatusOr<TickResponse> FinishTick(const TickRequest& request, const TickCall& call,
                                          const redis::Reply& reply);
  absl::StatusOr<std::vector<absl::Status>> ForEachDead(absl::string_view function,
                                                        const std::vector<std::string>& jobs);
  // Whether there are classes that this client has not heard of: perhaps one of them is for it.
  static bool HasUnheard(const TickRequest& request, const TickCall& call,
                         const redis::Reply& reply, const TickResponse& response);
  absl::Status LearnClasses();
  ClassNumbers Numbers();
  absl::StatusOr<std::vector<bool>> Added(const redis::Reply& reply, size_t jobs);

  redis::ConnectionPool* const pool_;
  const std::string slot_;
  const Clock* const simulated_clock_;  // Optional.
  const std::vector<std::string> keys_;

  // A session that ticked through here and was not fenced.
  struct Session {
    std::string incarnation;  // Under which it began.
    bool known = false;       // A tick was answered.
    std::string description;  // The last that was answered.
  };

  Mutex mu_;
  std::string incarnation_ ABSL_GUARDED_BY(mu_);  // "" when not known.
  std::map<std::string, Session, std::less<>> sessions_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> classes_ ABSL_GUARDED_BY(mu_);  // Of the lane, by number from 1.
  ClassNumbers numbers_ ABSL_GUARDED_BY(mu_);  // Of the classes of what went through here.
  int woken_ ABSL_GUARDED_BY(mu_) = 0;  // Value of the wake token that the next tick answers.

  const int end_wait_;  // A file descriptor, readable once the waits have ended.
  Mutex waiter_mu_;
  redis::Connection waiter_ ABSL_GUARDED_BY(waiter_mu_);
  bool parked_ ABSL_GUARDED_BY(waiter_mu_) = false;  // waiter_ has sent its command.
};

}  // namespace fairlead::queue
