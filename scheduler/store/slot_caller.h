// How the stores call the functions of common/redis/lua: slot, incarnation and clock put in front,
// refusals of the incarnation turned into a closed gate.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/clock.h"
#include "common/redis/connection.h"
#include "scheduler/store/gate.h"

namespace fairlead::store {

// What a function answered.
struct Outcome {
  std::string code;  // "OK" or a code documented above the function.
  int64_t now_ms = 0;
  uint64_t seq = 0;  // Of the event it wrote; 0 for none.
  std::vector<redis::Reply> rest;

  bool ok() const { return code == "OK"; }
  std::string Text(size_t i) const { return i < rest.size() ? rest[i].AsText() : std::string(); }
  int64_t Int(size_t i) const { return i < rest.size() ? rest[i].AsInt() : 0; }
};

// One call of a batch.
struct Invocation {
  std::string function;
  std::vector<std::string> keys;  // After the three of the slot.
  redis::Arguments arguments;     // After now and incarnation.
};

// Thread-safe.
class SlotCaller {
 public:
  // `simulated`: the clock that the functions go by, in simulation only; Redis TIME without one.
  SlotCaller(redis::ConnectionPool* pool, Gate* gate, const Clock* simulated = nullptr)
      : pool_(pool), gate_(gate), simulated_(simulated) {}

  // UNAVAILABLE while the gate is closed, when the incarnation was refused (which closes it), or
  // when Redis cannot be reached. Other codes come back in the Outcome.
  absl::StatusOr<Outcome> Invoke(absl::string_view slot, const Invocation& invocation) const;
  // All in one pipeline; one Outcome each, in order. A failed single call is code "ERROR".
  absl::StatusOr<std::vector<Outcome>> InvokeAll(absl::string_view slot,
                                                 const std::vector<Invocation>& invocations) const;

  redis::ConnectionPool& pool() const { return *pool_; }
  Gate& gate() const { return *gate_; }

 private:
  redis::Arguments WithFence(const std::string& incarnation,
                             const redis::Arguments& arguments) const;

  redis::ConnectionPool* const pool_;
  Gate* const gate_;
  const Clock* const simulated_;
};

}  // namespace fairlead::store
