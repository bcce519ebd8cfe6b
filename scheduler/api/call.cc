#include "scheduler/api/call.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/status.h"
#include "common/rpc/grpc_status.h"

namespace fairlead::api {
namespace {

void Count(absl::string_view method, absl::StatusCode code) {
  CounterOf("fairlead_rpc_total", "Calls by method and code.",
            {{"method", std::string(method)}, {"code", absl::StatusCodeToString(code)}})
      .Increment();
}

void Audit(absl::string_view method, const Principal& principal, const absl::Status& status) {
  FAIRLEAD_LOG(INFO) << "audit method=" << method << " token=" << principal.token_id
                     << " role=" << v1::Role_Name(principal.role)
                     << " decision=" << (status.ok() ? "done" : "refused")
                     << " code=" << absl::StatusCodeToString(status.code())
                     << " reason=" << ReasonOf(status);
}

}  // namespace

absl::StatusOr<Principal> AuthorizeCall(const Parts& parts, const grpc::ServerContextBase& context,
                                        absl::string_view method) {
  absl::string_view authorization;
  auto header = context.client_metadata().find("authorization");
  if (header != context.client_metadata().end()) {
    authorization = absl::string_view(header->second.data(), header->second.size());
  }
  absl::StatusOr<Principal> principal =
      parts.authenticator->Authorize(method, authorization, parts.clock->Now());
  if (!principal.ok()) {
    Count(method, principal.status().code());
    Audit(method, Principal(), principal.status());
  }
  return principal;
}

grpc::Status Serve(const Parts& parts, const grpc::ServerContextBase& context,
                   absl::string_view method,
                   const std::function<absl::Status(const Principal&)>& body) {
  absl::StatusOr<Principal> principal = AuthorizeCall(parts, context, method);
  if (!principal.ok()) return rpc::ToGrpcStatus(principal.status());
  const absl::Status status = body(*principal);
  Count(method, status.code());
  if (absl::IsPermissionDenied(status)) Audit(method, *principal, status);
  if (absl::IsInternal(status) || absl::IsDataLoss(status)) {
    FAIRLEAD_LOG(ERROR) << "call failed method=" << method
                        << " code=" << absl::StatusCodeToString(status.code()) << " error=\""
                        << status.message() << "\"";
  }
  return rpc::ToGrpcStatus(status);
}

absl::StatusOr<size_t> PageSize(int32_t size) {
  if (size < 0) return FieldError("page_size", "must not be negative");
  if (size == 0) return 100;
  return static_cast<size_t>(std::min(size, 1000));
}

}  // namespace fairlead::api
