// Follows every slot's event stream: appends what is durable to the record log, fsyncs in groups,
// and hands the events on (hop 3: "the Redis function decides, the log remembers, then it is
// acknowledged").
//
// One thread and one connection a slot. Events decided by a replica that died between its call and
// its log are in the stream all the same and are appended here like any other: nothing to heal.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/record_log/record_log.h"
#include "common/redis/connection.h"
#include "scheduler/store/event_codec.h"
#include "scheduler/store/gate.h"

namespace fairlead::store {

// A transition that took place, to be acknowledged once it is durable.
struct PendingChange {
  std::string slot;
  uint64_t seq = 0;   // 0: there is nothing to wait for.
  uint64_t life = 0;  // EventFollower::Life() from before the call that made it.
};

class EventFollower {
 public:
  // `sinks` get every event after it is durable, in the order given, and foresee it before. All
  // pointers outlive this.
  EventFollower(const redis::RedisOptions& redis, RecordLog* log, Gate* gate,
                std::vector<EventSink*> sinks);
  ~EventFollower();

  // Begins to follow `slot` after event `cursor`. Once a slot, before Run.
  void Add(absl::string_view slot, uint64_t cursor);
  // Waits until no thread is between reading and logging. Call it with the gate closed: then
  // nothing is appended to the log until the gate opens again.
  void Quiesce();
  // Moves a slot's cursor; only while quiescent.
  void Reset(absl::string_view slot, uint64_t cursor);
  void Run();   // Starts the threads.
  void Stop();  // Joins them, ends all waiting with UNAVAILABLE; idempotent.

  // Grows whenever recovery moves a cursor. Redis that lost its tail gives a number out twice:
  // `seq` of one life means nothing in the next. Taken before the call that returns the seq.
  uint64_t Life() const;
  // Returns once the change is on disk and every sink has it. DEADLINE_EXCEEDED / NOT_DURABLE_YET
  // when it takes longer than `timeout`, or when its life is over: the transition took place, but
  // may be lost with the machine. The same as UNAVAILABLE while the gate is held.
  absl::Status AwaitDurable(const PendingChange& change, absl::Duration timeout);
  // The same without holding a thread: calls `done` once, at once or from a follower's thread,
  // which it must not block. Timeout and held gate are noticed within half a second.
  void WhenDurable(const PendingChange& change, absl::Duration timeout,
                   std::function<void(const absl::Status&)> done);

  // Up to which event of `slot` the record log holds everything; 0 for a slot not followed.
  uint64_t DurableSeq(absl::string_view slot) const;
  // Sum over the slots of what is durable.
  uint64_t DurableTotal() const;

 private:
  struct Waiter {
    uint64_t seq = 0, life = 0;
    absl::Time deadline;
    std::function<void(const absl::Status&)> done;
  };
  struct Slot {
    std::string name;
    std::unique_ptr<redis::Connection> connection;
    uint64_t cursor = 0;                           // Guarded by mu_.
    bool busy = false;                             // Guarded by mu_: between reading and logging.
    uint64_t last_trim = 0;                        // The slot's thread only.
    absl::Time next_group = absl::InfinitePast();  // As above.
    std::vector<Waiter> waiters;                   // Guarded by mu_.
    std::thread thread;
  };

  void Follow(Slot* slot);
  absl::Status FollowOnce(Slot* slot);
  absl::Status Log(const std::vector<v1::Event>& events, std::vector<int64_t>& positions);
  void Trim(Slot* slot, uint64_t cursor);
  Slot* Find(absl::string_view name) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What a waiter is told now; nothing while it has to wait on.
  std::optional<absl::Status> Verdict(const Slot& slot, const Waiter& waiter,
                                      const absl::Status& held, absl::Time now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Tells those whose wait is over.
  void Settle(Slot* slot);

  const redis::RedisOptions redis_;
  RecordLog* const log_;
  Gate* const gate_;
  const std::vector<EventSink*> sinks_;
  std::atomic<bool> stopping_{false};

  mutable Mutex mu_;
  CondVar advanced_;
  uint64_t life_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<std::unique_ptr<Slot>> slots_;  // Constant after Run.
};

}  // namespace fairlead::store
