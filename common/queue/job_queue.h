// PORT: the machine lane, a queue of jobs for worker processes under session leases (architecture:
// one heartbeat a process renews all its jobs). Every grant carries a random fencing token; ack,
// nack and progress under a token that is no longer live are refused and change nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "fairlead/store/v1/records.pb.h"

namespace fairlead::queue {

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
};

struct ProgressNote {
  std::string token;
  std::string text;  // At most 1 KiB, shown to operators.
};

struct TickRequest {
  std::string session;                       // Random, one a process life.
  std::string description;                   // JSON: host, device, build; at most 4 KiB.
  std::vector<std::string> kinds;            // What may be leased.
  int32_t want = 0;                          // Jobs to lease now, at most 16.
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
  bool fenced = false;  // The session had expired: everything it held is lost; start anew.
};

struct LaneStats {
  std::string kind;
  int64_t ready = 0, delayed = 0, leased = 0, done = 0, dead = 0;
};

struct SessionView {
  std::string session;
  std::string description;
  absl::Time expire_time;
  int32_t leased = 0;
  std::string progress;  // The last note of its first job.
};

struct DeadJob {
  std::string job;
  std::string error;
  int32_t attempts = 0;
  int32_t crashes = 0;
  absl::Time dead_time;
};

// Bounds that both implementations hold to (lua/lane.lua has the same numbers).
inline constexpr int kMaxAttempts = 5;  // Failures after which a job is dead.
inline constexpr int kMaxCrashes = 3;   // Lost leases after which it is dead.
inline constexpr int kMaxPriority = 1000;
inline constexpr int kMaxWant = 16;
inline constexpr int kMaxKinds = 16;
inline constexpr int kMaxBatch = 64;  // Acks, nacks and notes in one tick, each.
inline constexpr int kMaxHeld = 64;   // Jobs of one session.

// Thread-safe. Errors of every method: UNAVAILABLE when the queue cannot be reached or is not open
// (the scheduler has not begun or is recovering), INVALID_ARGUMENT for a bad field.
class JobQueue {
 public:
  virtual ~JobQueue() = default;
  // Adds a job under its deterministic id; one that is there already (in any state) is left alone
  // and false returned. Priority in ±1000, higher first. RESOURCE_EXHAUSTED when Redis is full or
  // there are 100,000 jobs that have not ended. A job that ended is forgotten after 10,000 later
  // ones.
  virtual absl::StatusOr<bool> Enqueue(const store::v1::JobRecord& job, int priority) = 0;
  // Heartbeat + acks + nacks + progress + lease of up to `want`, in one round trip. An ack writes
  // the job's result to the lane's event stream. Idempotent for acks and nacks (repeated ones are
  // `lost`).
  virtual absl::StatusOr<TickResponse> Tick(const TickRequest& request) = 0;
  // What the session holds according to the queue: resumes after a lost reply.
  virtual absl::StatusOr<std::vector<Lease>> Mine(absl::string_view session) = 0;
  // Ends expired sessions: their jobs go back to the head of the queue with crashes + 1, or to the
  // dead letters at the bound; wakes delayed jobs that are due. At most `limit` (1–100) of each;
  // returns how many sessions and delayed jobs that were.
  virtual absl::StatusOr<int> Reap(int limit) = 0;
  // A job that has not ended becomes dead with the error "cancelled"; its holder is told at its
  // next tick. FAILED_PRECONDITION / STATE_TERMINAL when it has ended, NOT_FOUND when there is
  // none.
  virtual absl::Status Cancel(absl::string_view job) = 0;
  // A dead job is ready again with attempts and crashes at zero. FAILED_PRECONDITION /
  // STATE_NOT_DEAD when it is not dead, NOT_FOUND when there is none.
  virtual absl::Status Replay(absl::string_view job) = 0;
  // Asks a session to drain: it is told at each tick and leases nothing more. With "" every
  // session, those to come included, until Undrain(""). Returns how many live sessions that
  // concerns; NOT_FOUND when the session is not live.
  virtual absl::StatusOr<int> Drain(absl::string_view session) = 0;
  virtual absl::Status Undrain(absl::string_view session) = 0;
  // The record of a job that is not done. NOT_FOUND otherwise.
  virtual absl::StatusOr<store::v1::JobRecord> Find(absl::string_view job) = 0;
  // By kind; done counts all that ever were.
  virtual absl::StatusOr<std::vector<LaneStats>> Stats() = 0;
  // Live sessions; at most `limit` (1–1,000).
  virtual absl::StatusOr<std::vector<SessionView>> Sessions(int limit) = 0;
  // Dead jobs, the latest first; at most `limit` (1–1,000) from `offset`.
  virtual absl::StatusOr<std::vector<DeadJob>> Dead(int offset, int limit) = 0;
};

}  // namespace fairlead::queue
