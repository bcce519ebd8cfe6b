// The worker's loop (hops 12 and 14): leases one job at a time, runs its handler, keeps the lease
// alive meanwhile, and gives the result back. Drains on request: the running job checkpoints and is
// handed back as preempted, which costs it neither an attempt nor a crash.
//
// A session is one life of this process under one lease. When the queue fences it, the running job
// aborts within a step and a new session begins. A heartbeat that cannot reach the queue changes
// nothing: whether the lease still holds is decided by its token when the result is handed in.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/queue/job_queue.h"
#include "worker/job_handler.h"

namespace fairlead::worker {

struct AgentOptions {
  std::string description;                   // JSON for operators: host, device, build.
  queue::Capabilities able;                  // What jobs may require.
  absl::Duration lease = absl::Seconds(10);  // The session's; heartbeats come at a third of it.
  absl::Duration retry =
      absl::Milliseconds(500);                // Mean pause after the queue could not be reached.
  absl::Duration settle = absl::Seconds(30);  // How long a drain tries to hand the job back.
  std::function<void()>
      leave_wait;                  // Called when there is work without a wait for it. May be empty.
  std::function<void()> end_wait;  // Ends every wait, once draining. Thread-safe; may be empty.
};

enum class AgentExit {
  kIdle,         // Nothing was running: exit code 0.
  kInterrupted,  // A job was handed back unfinished: exit code 75 (EX_TEMPFAIL).
};

class Agent {
 public:
  // Blocks until work may be there (true) or the time passed (false).
  using Wait = std::function<absl::StatusOr<bool>(absl::Duration)>;

  // `queue` and the handlers outlive the agent. `handlers`: by kind of job, at most 16.
  Agent(queue::JobQueue* queue, std::map<std::string, JobHandler*> handlers, Wait wait,
        AgentOptions options);
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Leases until RequestStop() or until the queue asks this session to drain. Blocks; once.
  AgentExit Run();
  // Asks for at most one job and runs it. True when one was run.
  bool RunOnce();
  // Drains. Thread-safe; any number of times.
  void RequestStop();

  // The session's id, for tests and logs. Changes when the queue fenced the old one.
  std::string session() const;

 private:
  struct Held {
    queue::Lease lease;
    JobContext context;
    bool gone = false;       // The lease is lost: nothing may be handed in under it.
    bool cancelled = false;  // By an operator; the grant must still be let go of.
  };

  void NewSession();
  queue::TickRequest BaseTick() const;
  std::optional<queue::Lease> LeaseOne();
  // Logs and pauses, longer after each failure in a row.
  std::nullopt_t Failed(const absl::Status& status);
  void RunJob(queue::Lease lease);
  void KeepAlive(Held* held);
  void Beat(Held* held);
  void Settle(Held* held, absl::StatusOr<store::v1::JobResult> result);
  bool SettledBy(const queue::TickRequest& request, const std::string& token, absl::Time deadline);
  void Idle();
  void Pause(absl::Duration mean);
  void Count(const std::string& kind, const std::string& outcome);

  queue::JobQueue* const queue_;
  const std::map<std::string, JobHandler*> handlers_;
  const Wait wait_;
  const AgentOptions options_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> interrupted_{false};
  bool unsure_ = false;  // A reply was lost: the queue may have leased us something.
  absl::Time next_due_ =
      absl::InfiniteFuture();  // When this session shall look again, idle or not.
  int failures_ = 0;           // In a row, of asking for work.

  mutable Mutex mu_;
  CondVar changed_;
  std::string session_ ABSL_GUARDED_BY(mu_);
  Held* held_ ABSL_GUARDED_BY(mu_) = nullptr;  // While its handler runs.
};

}  // namespace fairlead::worker
