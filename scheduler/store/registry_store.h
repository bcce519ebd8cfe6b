// The registry's side of Redis: tenants, tokens, models by compare-and-set, and leadership.
// Errors and `seq` as in TaskStore. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "fairlead/store/v1/records.pb.h"
#include "scheduler/store/slot_caller.h"

namespace fairlead::store {

class RegistryStore {
 public:
  explicit RegistryStore(const SlotCaller* caller) : caller_(caller) {}

  // A tenant that is there already is OK with seq 0.
  absl::StatusOr<uint64_t> PutTenant(const v1::TenantRecord& record);
  // `revision` is how often this token was written before: 0 creates. ABORTED / REVISION_CHANGED.
  absl::StatusOr<uint64_t> PutToken(const v1::TokenRecord& record, int64_t revision);
  // record.revision() is the one read; the stored one becomes one more. ABORTED / REVISION_CHANGED.
  absl::StatusOr<uint64_t> PutModel(v1::ModelRecord record);

 private:
  absl::StatusOr<uint64_t> Put(absl::string_view kind, const std::string& key, absl::string_view id,
                               int64_t revision, const std::string& record);
  const SlotCaller* const caller_;
};

// Takes or renews the pool's leadership for `lease`; false while another replica holds it. Works
// before recovery: it does not pass the gate.
absl::StatusOr<bool> Lead(redis::ConnectionPool& pool, absl::string_view replica,
                          absl::string_view token, absl::Duration lease);

}  // namespace fairlead::store
