// Who is calling, and whether they may. Deny by default: no token, no entry in the method table, no
// matching role or owner means refusal, and every refusal is an audit line.
#pragma once

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/rpc/method_table.h"
#include "fairlead/store/v1/records.pb.h"
#include "fairlead/v1/options.pb.h"
#include "scheduler/store/registry_view.h"

namespace fairlead::api {

struct Principal {
  v1::Role role = v1::ROLE_UNSPECIFIED;
  std::string token_id;
  std::string tenant;      // Clients.
  std::string contractor;  // Contractors.

  bool platform() const { return role == v1::ROLE_OPERATOR || role == v1::ROLE_VIEWER; }
};

class Authenticator {
 public:
  Authenticator(const store::RegistryView* registry, const rpc::MethodTable* methods)
      : registry_(registry), methods_(methods) {}

  // A secret that is an operator's without being in the registry: how a new cluster gets its first
  // operator. Call before serving.
  void AddBootstrapOperator(absl::string_view secret);

  // `authorization` is the header's value, "Bearer <secret>" or empty; `method` the full path.
  // UNAUTHENTICATED / TOKEN_…; PERMISSION_DENIED / ROLE_DENIED or METHOD_UNKNOWN. Thread-safe.
  absl::StatusOr<Principal> Authorize(absl::string_view method, absl::string_view authorization,
                                      absl::Time now) const;

 private:
  absl::StatusOr<Principal> Authenticate(absl::string_view authorization, absl::Time now) const;

  const store::RegistryView* const registry_;
  const rpc::MethodTable* const methods_;
  absl::flat_hash_map<std::string, Principal> bootstrap_;  // By SHA-256.
};

// PERMISSION_DENIED / OTHER_TENANT unless the principal may touch the tenant's resources. Asked
// before existence: nobody learns from it what another tenant has.
absl::Status CheckTenant(const Principal& principal, absl::string_view tenant);
// PERMISSION_DENIED / OTHER_CONTRACTOR unless it is the contractor itself or the platform.
absl::Status CheckContractor(const Principal& principal, absl::string_view contractor);

}  // namespace fairlead::api
