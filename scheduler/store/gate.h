// The gate in front of Redis: which incarnation each slot is under, and whether it may be written.
// Closed at start and whenever Redis may have come back poorer than it left; recovery opens it.
// Held while what Redis says cannot be logged: a change that is made would not be acknowledged.
#pragma once

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/base/status.h"

namespace fairlead::store {

class Gate {
 public:
  // The incarnation to pass with a call. UNAVAILABLE / STORE_RECOVERING while closed; the reason
  // given to Hold while held. Thread-safe.
  absl::StatusOr<std::string> IncarnationOf(absl::string_view slot) const {
    RETURN_IF_ERROR(Held());
    return IncarnationToFollow(slot);
  }

  // The same for who only reads the slot's stream: it goes on while the gate is held.
  absl::StatusOr<std::string> IncarnationToFollow(absl::string_view slot) const {
    MutexLock lock(&mu_);
    auto found = incarnations_.find(slot);
    if (!open_ || found == incarnations_.end()) {
      return Error(absl::StatusCode::kUnavailable, "STORE_RECOVERING",
                   "the queues are being recovered; try again");
    }
    return found->second;
  }

  bool open() const {
    MutexLock lock(&mu_);
    return open_;
  }

  // Stops all calls until recovery has looked. Cheap and idempotent.
  void Close() {
    MutexLock lock(&mu_);
    open_ = false;
    changed_.NotifyAll();
  }

  void Open(absl::flat_hash_map<std::string, std::string> incarnations) {
    MutexLock lock(&mu_);
    incarnations_ = std::move(incarnations);
    open_ = true;
    changed_.NotifyAll();
  }

  // No call passes until everybody who holds the gate has released it; slots and incarnations stay
  // as they are. `why` is what callers get.
  void Hold(absl::string_view who, const absl::Status& why) {
    MutexLock lock(&mu_);
    held_[std::string(who)] = why;
  }
  void Release(absl::string_view who) {
    MutexLock lock(&mu_);
    held_.erase(std::string(who));
  }
  // OK when nobody does.
  absl::Status Held() const {
    MutexLock lock(&mu_);
    return held_.empty() ? absl::OkStatus() : held_.begin()->second;
  }

  // Waits until closed, or for `timeout`; returns whether it is closed.
  bool AwaitClosed(absl::Duration timeout) {
    MutexLock lock(&mu_);
    if (open_) changed_.WaitFor(&mu_, absl::ToChronoMilliseconds(timeout));
    return !open_;
  }

 private:
  mutable Mutex mu_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  absl::flat_hash_map<std::string, std::string> incarnations_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, absl::Status> held_ ABSL_GUARDED_BY(mu_);
};

}  // namespace fairlead::store
