// PORT: the machine lane, a queue of jobs for worker processes under session leases (architecture:
// one heartbeat a process renews all its jobs). Every grant carries a random fencing token; ack,
// nack and progress under a token that is no longer live are refused and change nothing.
//
// Flows: the jobs of one project (or tenant, job_codec.h) wait in one flow. Flows are served by
// start-time fair queueing with weights and a quantum; inside a flow priority, then deadline, then
// time decide. Limits are set per flow. Classes: kind and requirements of a job, see ClassOf.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "fairlead/store/v1/records.pb.h"

namespace fairlead::queue {

struct NewJob {
  store::v1::JobRecord record;
  int priority = 0;  // ±kMaxPriority, higher first; inside its flow.
  absl::Time deadline =
      absl::InfiniteFuture();               // Before others of its priority; the earliest first.
  absl::Time start = absl::InfinitePast();  // Not leased before.
};

// What holds for one flow. 0 is no limit.
struct FlowLimits {
  int weight = 1;         // 1–128: its share of each class against the other flows' weights.
  int64_t leased = 0;     // Jobs leased at a time, at most.
  double per_second = 0;  // Leases a second, at most …
  int64_t burst = 0;      // … after this many at once (at least 1 with a rate).
  int64_t waiting = 0;    // Jobs ready and delayed; more are refused.
  bool paused = false;    // Nothing of it is leased.
};

// What is remembered of ended jobs.
struct Retention {
  int64_t count = 10'000;  // Done and dead jobs, each; 1,000–1,000,000.
  absl::Duration age = absl::Hours(168);
  int64_t result_bytes = 1024;  // Larger results are in the record log only; at most 64 KiB.
};

// What a worker has to offer, against the requirements of jobs.
struct Capabilities {
  std::string device;
  int64_t memory_mib = 0;
  std::vector<std::string> labels;
};

struct Lease {
  store::v1::JobRecord job;
  std::string token;
  int32_t attempts = 0;  // Failures so far: the handler returned an error.
  int32_t crashes = 0;   // Lost leases so far: the process went away.
};

struct Ack {
  std::string token;
  store::v1::JobResult result;
};

struct Nack {
  std::string token;
  std::string error;  // Becomes the job's last error.
  bool preempted =
      false;  // Handed back unfinished (drain): counts as neither attempt nor crash, due at once.
  // The share of the backoff's bound that the job waits, in [0, 1]; drawn when not given.
  std::optional<double> jitter = std::nullopt;
};

struct ProgressNote {
  std::string token;
  std::string text;  // At most 1 KiB, shown to operators.
};

struct TickRequest {
  std::string session;                       // Random, one a process life.
  std::string description;                   // JSON: host, device, build; at most 4 KiB.
  std::vector<std::string> kinds;            // What may be leased …
  Capabilities able;                         // … and run here.
  int32_t want = 0;                          // Jobs to lease now, at most kMaxBatch.
  absl::Duration lease = absl::Seconds(10);  // The session's lease from now on.
  std::vector<Ack> acks;
  std::vector<Nack> nacks;
  std::vector<ProgressNote> progress;
};

struct TickResponse {
  std::vector<Lease> leases;
  std::vector<std::string>
      lost;  // Tokens among acks, nacks and progress that are not live (any more).
  std::vector<std::string> cancelled;  // Tokens of this session whose job was cancelled: stop.
  bool drain = false;                  // Finish or hand back, then exit.
  absl::Time next_due = absl::InfiniteFuture();  // This session, idle, shall tick again then.
  // The session had expired: everything it held is lost; start anew, under another id.
  bool fenced = false;
};

struct LaneStats {
  std::string kind;
  int64_t ready = 0, delayed = 0, leased = 0, done = 0, dead = 0;
  // Since the flow to be served next was served or began to wait; the most of the kind's classes.
  absl::Duration wait;
};

enum class JobState { kReady, kDelayed, kLeased, kDone, kDead };

// One job, and what keeps it from running.
struct JobView {
  JobState state = JobState::kReady;
  store::v1::JobRecord job;     // Not of a done one.
  store::v1::JobResult result;  // Of a done one, as far as it is remembered.
  int priority = 0;
  absl::Time deadline = absl::InfiniteFuture();
  int32_t attempts = 0;
  int32_t crashes = 0;
  std::string error;     // The last one.
  std::string progress;  // The last note of its holder, or of who had it when it died.
  absl::Time when;       // kDelayed: due; kDone, kDead: its end.
  std::string session;   // kLeased.
  std::string job_class;
  std::string flow;
  FlowLimits limits;  // Of its flow …
  int64_t flow_leased = 0;
  int64_t flow_waiting = 0;
  bool rate_spent = false;  // … whose rate lets nothing through now.
  int64_t class_ready = 0;  // Ready jobs of its class, of all flows.
};

struct SessionView {
  std::string session;
  std::string description;
  absl::Time expire_time;
  int32_t leased = 0;
  std::string progress;            // The last note of its first job.
  std::vector<std::string> kinds;  // What it leases; unknown (empty) until it has asked for jobs.
  Capabilities able;
};

struct DeadQuery {
  int offset = 0;
  int limit = 100;   // 1–1,000.
  std::string text;  // Part of the id, the flow or the error; "" for any.
  std::string kind;  // "" for any.
};

struct DeadJob {
  std::string job;
  std::string error;
  int32_t attempts = 0;
  int32_t crashes = 0;
  absl::Time dead_time;
  std::string kind;
  std::string flow;
};

// One page; looks at 1,000 dead jobs at most, so it may be empty before the end.
struct DeadPage {
  std::vector<DeadJob> jobs;
  int next = -1;  // Offset to go on from; -1 at the end.
};

// Bounds that both implementations hold to (lua/lane3.*.lua has the same numbers).
inline constexpr int kMaxAttempts = 5;  // Failures after which a job is dead.
inline constexpr int kMaxCrashes = 3;   // Lost leases after which it is dead.
inline constexpr int kMaxPriority = 1000;
inline constexpr int kMaxWeight = 128;
inline constexpr int kMaxKinds = 16;
inline constexpr int kMaxEnqueue = 1000;  // Jobs in one EnqueueBatch.
inline constexpr int kMaxBatch = 100;     // Wanted jobs, acks, nacks and notes in one tick, each.
inline constexpr int kMaxHeld = 4096;     // Jobs of one session, by at most 512 ticks.
inline constexpr int kQuantum = 25;       // Jobs of one flow in a row while others wait.

// Thread-safe. Errors of every method: UNAVAILABLE when the queue cannot be reached or is not open
// (the scheduler has not begun or is recovering), INVALID_ARGUMENT for a bad field.
class JobQueue {
 public:
  virtual ~JobQueue() = default;
  // Adds jobs under their deterministic ids, all or, with an error, none. One that is there already
  // (in any state) is left alone: false in its place. RESOURCE_EXHAUSTED / QUEUE_FULL when Redis is
  // full, there are 1,000,000 jobs that have not ended, or a flow has its limit waiting. An ended
  // job's id may be used again once it is forgotten (Retention). O(jobs).
  virtual absl::StatusOr<std::vector<bool>> EnqueueBatch(const std::vector<NewJob>& jobs) = 0;
  // Heartbeat + acks + nacks + progress + lease of up to `want`, in one round trip. An ack writes
  // the job's result to the lane's event stream. Idempotent for acks and nacks (repeated ones are
  // `lost`).
  virtual absl::StatusOr<TickResponse> Tick(const TickRequest& request) = 0;
  // What the session holds according to the queue: resumes after a lost reply.
  virtual absl::StatusOr<std::vector<Lease>> Mine(absl::string_view session) = 0;
  // Ends expired sessions: their jobs go back to the head of the queue with crashes + 1, or to the
  // dead letters at the bound; wakes delayed jobs that are due; forgets ended jobs that are too
  // old. At most `limit` (1–100) of each; returns how many sessions and delayed jobs that were.
  virtual absl::StatusOr<int> Reap(int limit) = 0;
  // A job that has not ended becomes dead with the error "cancelled"; its holder is told at its
  // next tick. FAILED_PRECONDITION / STATE_TERMINAL when it has ended, NOT_FOUND when there is
  // none.
  virtual absl::Status Cancel(absl::string_view job) = 0;
  // Dead jobs (at most kMaxBatch ids) are ready again with attempts and crashes at zero, or are
  // forgotten. For each job OK, NOT_FOUND, or FAILED_PRECONDITION / STATE_NOT_DEAD.
  virtual absl::StatusOr<std::vector<absl::Status>> ReplayAll(
      const std::vector<std::string>& jobs) = 0;
  virtual absl::StatusOr<std::vector<absl::Status>> Purge(const std::vector<std::string>& jobs) = 0;
  // Asks a session to drain, or not any more: it is told at each tick and leases nothing more. With
  // "" every session, those to come included. Returns how many live sessions that concerns;
  // NOT_FOUND when the session is not live.
  virtual absl::StatusOr<int> SetDrain(absl::string_view session, bool drain) = 0;
  virtual absl::Status SetLimits(absl::string_view flow, const FlowLimits& limits) = 0;
  virtual absl::Status SetRetention(const Retention& retention) = 0;
  // The record of a job that is not done. NOT_FOUND otherwise. O(1); O(sessions · grants) of one
  // that was leased without the rest of its part.
  virtual absl::StatusOr<store::v1::JobRecord> Find(absl::string_view job) = 0;
  // NOT_FOUND when there is none, or none any more. O(sessions · jobs held): for operators.
  virtual absl::StatusOr<JobView> Inspect(absl::string_view job) = 0;
  // By kind; done counts all that ever were.
  virtual absl::StatusOr<std::vector<LaneStats>> Stats() = 0;
  // Live sessions; at most `limit` (1–1,000).
  virtual absl::StatusOr<std::vector<SessionView>> Sessions(int limit) = 0;
  // Dead jobs, the latest first.
  virtual absl::StatusOr<DeadPage> SearchDead(const DeadQuery& query) = 0;

  // In other words:
  absl::StatusOr<bool> Enqueue(const store::v1::JobRecord& job, int priority);
  absl::Status Replay(absl::string_view job);
  absl::StatusOr<int> Drain(absl::string_view session) { return SetDrain(session, true); }
  absl::Status Undrain(absl::string_view session) { return SetDrain(session, false).status(); }
  absl::StatusOr<std::vector<DeadJob>> Dead(int offset, int limit);
};

}  // namespace fairlead::queue
