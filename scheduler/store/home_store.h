// The contractors' side of Redis: profiles, presence, folded pay. Errors and `seq` as in TaskStore.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "fairlead/store/v1/records.pb.h"
#include "scheduler/store/slot_caller.h"
#include "scheduler/store/slots.h"

namespace fairlead::store {

// What one task slot's events add to one contractor.
struct PayDelta {
  int64_t micros = 0;
  int64_t annotations = 0;
};

// Thread-safe.
class HomeStore {
 public:
  HomeStore(const SlotCaller* caller, Topology topology) : caller_(caller), topology_(topology) {}

  absl::StatusOr<uint64_t> PutContractor(const v1::ContractorRecord& record);
  // `credit` offers at a time for `lifetime`; 0 goes offline.
  absl::Status SetPresence(absl::string_view contractor, int32_t credit, absl::Duration lifetime);
  // The same for many, of each the credit, in few round trips. The first error, if any.
  absl::Status SetPresence(const std::map<std::string, int32_t>& credits, absl::Duration lifetime);
  // Adds the pay of the events (from, to] of `task_slot` in one home, exactly once: false when the
  // cursor is not at `from` (somebody folded further).
  absl::StatusOr<bool> Fold(absl::string_view home, absl::string_view task_slot, uint64_t from,
                            uint64_t to, const std::map<std::string, PayDelta>& deltas);
  absl::StatusOr<uint64_t> FoldCursor(absl::string_view home, absl::string_view task_slot) const;
  absl::StatusOr<PayDelta> Balance(absl::string_view contractor) const;

 private:
  static Invocation PresenceCall(const std::string& home, absl::string_view contractor,
                                 int32_t credit, absl::Duration lifetime);

  const SlotCaller* const caller_;
  const Topology topology_;
};

}  // namespace fairlead::store
