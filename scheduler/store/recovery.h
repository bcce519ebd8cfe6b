// Opens the gate: at start, and whenever Redis may have lost something. Compares what each slot
// holds with the record log, rebuilds what is poorer, puts the slots under a new incarnation (so
// that no older leader, token or lease is valid any more), and reloads the snapshot. A machine
// lane, which nobody leads, gets a new incarnation only when Redis was restarted.
#pragma once

#include <string>

#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/record_log/record_log.h"
#include "common/redis/connection.h"
#include "scheduler/dispatch/task_view.h"
#include "scheduler/store/event_follower.h"
#include "scheduler/store/gate.h"
#include "scheduler/store/log_index.h"
#include "scheduler/store/slots.h"

namespace fairlead::store {

struct RecoveryParts {
  redis::ConnectionPool* pool;
  RecordLog* log;
  Gate* gate;
  LogIndex* index;
  EventFollower* follower;
  dispatch::TaskView* view;
};

// One thread calls it.
class Recovery {
 public:
  // `dev_mode` allows a Redis without AOF. `replica` names this process in the leader's record.
  Recovery(const RecoveryParts& parts, const Topology& topology, std::string replica,
           bool dev_mode);

  // Renews leadership; when the gate is closed, recovers and opens it. OK when it is open
  // afterwards. FAILED_PRECONDITION names a setting of Redis that is refused (G10); UNAVAILABLE:
  // try again. FAILED_PRECONDITION / NOT_LEADER: another replica leads; this one follows what it
  // opened.
  absl::Status RunOnce();

  // Whether this process led at the last RunOnce.
  bool leading() const { return leading_; }
  // Gives leadership up, for a quick takeover at shutdown.
  void Resign();

 private:
  absl::Status Recover();
  // Where to follow a slot from: behind what the log has. Volatile events after it are given twice,
  // which the view knows; what was trimmed from the stream had been taken.
  absl::StatusOr<uint64_t> CursorOf(const std::string& slot);
  absl::Status OpenSlots();
  absl::Status CheckSchema();

  const RecoveryParts parts_;
  const Topology topology_;
  const std::string replica_;
  const std::string token_;  // 64 random bits: another process of the same name is another leader.
  const bool dev_mode_;
  bool leading_ = false;
};

}  // namespace fairlead::store
