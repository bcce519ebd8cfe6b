// The registry and the profiles in memory, in step with the events: tenants, tokens, projects,
// contractors, models. What a replica reads on every call without asking Redis.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"
#include "fairlead/store/v1/records.pb.h"
#include "scheduler/store/event_codec.h"

namespace fairlead::store {

using SharedProjectRecord = std::shared_ptr<const v1::ProjectRecord>;

// Thread-safe. Returns copies.
class RegistryView final : public EventSink {
 public:
  void Apply(const v1::Event& event, int64_t position) override;

  bool HasTenant(absl::string_view tenant) const;
  // By the SHA-256 of the secret.
  std::optional<v1::TokenRecord> TokenByHash(absl::string_view sha256) const;
  std::optional<v1::TokenRecord> TokenById(absl::string_view token_id) const;
  // NOT_FOUND / PROJECT_NOT_FOUND.
  absl::StatusOr<v1::ProjectRecord> Project(absl::string_view project) const;
  // The same without a copy, for what is done with every answer.
  absl::StatusOr<SharedProjectRecord> SharedProject(absl::string_view project) const;
  // Projects of a tenant (all with ""), by key, after `after`, at most `limit`.
  std::vector<v1::ProjectRecord> Projects(absl::string_view tenant, absl::string_view after,
                                          size_t limit) const;
  std::optional<v1::ContractorRecord> Contractor(absl::string_view contractor) const;
  std::vector<std::string> Contractors(absl::string_view after, size_t limit) const;
  std::optional<v1::ModelRecord> Model(absl::string_view model) const;
  // Models of a tenant (all with ""), by key, after `after`, at most `limit`.
  std::vector<v1::ModelRecord> Models(absl::string_view tenant, absl::string_view after,
                                      size_t limit) const;
  std::vector<v1::TenantRecord> Tenants() const;
  std::vector<v1::TokenRecord> Tokens() const;

 private:
  mutable Mutex mu_;
  std::map<std::string, v1::TenantRecord> tenants_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, v1::TokenRecord> tokens_ ABSL_GUARDED_BY(mu_);  // By hash.
  std::map<std::string, SharedProjectRecord> projects_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, v1::ContractorRecord> contractors_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, v1::ModelRecord> models_ ABSL_GUARDED_BY(mu_);
};

// The pay rate in force; a project always has one.
const fairlead::v1::PayRate& CurrentRate(const v1::ProjectRecord& project);

}  // namespace fairlead::store
