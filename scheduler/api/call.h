// The frame around every handler: authorise first, then the body, then one conversion of the error,
// one count, one audit line where the method or a refusal asks for it.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "scheduler/api/parts.h"

namespace fairlead::api {

// The caller of `context` for `method`, or the refusal. Counts and audits refusals.
absl::StatusOr<Principal> AuthorizeCall(const Parts& parts, const grpc::ServerContextBase& context,
                                        absl::string_view method);

// Runs `body` for an authorised caller.
grpc::Status Serve(const Parts& parts, const grpc::ServerContextBase& context,
                   absl::string_view method,
                   const std::function<absl::Status(const Principal&)>& body);

// Decodes a page: `size` as asked (0 means 100; at most 1,000). INVALID_ARGUMENT for a negative
// one.
absl::StatusOr<size_t> PageSize(int32_t size);

}  // namespace fairlead::api
