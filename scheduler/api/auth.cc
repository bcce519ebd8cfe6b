#include "scheduler/api/auth.h"

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status.h"

namespace fairlead::api {
namespace {

absl::Status Unauthenticated(absl::string_view reason, absl::string_view message) {
  return Error(absl::StatusCode::kUnauthenticated, reason, message);
}

}  // namespace

void Authenticator::AddBootstrapOperator(absl::string_view secret) {
  Principal principal;
  principal.role = v1::ROLE_OPERATOR;
  principal.token_id = "bootstrap";
  bootstrap_[Sha256Hex(secret)] = principal;
}

absl::StatusOr<Principal> Authenticator::Authenticate(absl::string_view authorization,
                                                      absl::Time now) const {
  constexpr absl::string_view kScheme = "Bearer ";
  if (!absl::StartsWith(authorization, kScheme)) {
    return Unauthenticated("TOKEN_MISSING", "send the header `authorization: Bearer <token>`");
  }
  // Secrets are compared by hash: the time it takes tells nothing about them.
  const std::string hash = Sha256Hex(authorization.substr(kScheme.size()));
  if (auto found = bootstrap_.find(hash); found != bootstrap_.end()) return found->second;
  const std::optional<store::v1::TokenRecord> record = registry_->TokenByHash(hash);
  if (!record.has_value()) return Unauthenticated("TOKEN_UNKNOWN", "no such token");
  if (record->revoked()) return Unauthenticated("TOKEN_REVOKED", "the token was revoked");
  if (absl::FromUnixMillis(record->expire_ms()) <= now) {
    return Unauthenticated("TOKEN_EXPIRED", "the token has expired; ask for a new one");
  }
  Principal principal;
  principal.role = record->role();
  principal.token_id = record->token_id();
  principal.tenant = record->tenant();
  principal.contractor = record->contractor();
  return principal;
}

absl::StatusOr<Principal> Authenticator::Authorize(absl::string_view method,
                                                   absl::string_view authorization,
                                                   absl::Time now) const {
  ASSIGN_OR_RETURN(Principal principal, Authenticate(authorization, now));
  const v1::AuthRule* rule = methods_->Find(method);
  if (rule == nullptr) {
    return Error(absl::StatusCode::kPermissionDenied, "METHOD_UNKNOWN",
                 absl::StrCat("nobody may call ", method));
  }
  if (std::find(rule->roles().begin(), rule->roles().end(), principal.role) ==
      rule->roles().end()) {
    return Error(
        absl::StatusCode::kPermissionDenied, "ROLE_DENIED",
        absl::StrCat("the token's role ", v1::Role_Name(principal.role), " may not call ", method));
  }
  return principal;
}

absl::Status CheckTenant(const Principal& principal, absl::string_view tenant) {
  if (principal.platform() || (!principal.tenant.empty() && principal.tenant == tenant)) {
    return absl::OkStatus();
  }
  return Error(absl::StatusCode::kPermissionDenied, "OTHER_TENANT",
               "the token does not belong to this tenant");
}

absl::Status CheckContractor(const Principal& principal, absl::string_view contractor) {
  if (principal.platform() ||
      (!principal.contractor.empty() && principal.contractor == contractor)) {
    return absl::OkStatus();
  }
  return Error(absl::StatusCode::kPermissionDenied, "OTHER_CONTRACTOR",
               "the token does not belong to this contractor");
}

}  // namespace fairlead::api
