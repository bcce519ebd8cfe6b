// The one place where absl::Status and grpc::Status meet. Every error that leaves the server
// carries a google.rpc.ErrorInfo (reason, domain "fairlead") in the trailer
// `grpc-status-details-bin`; bad fields also a BadRequest, and RESOURCE_EXHAUSTED and UNAVAILABLE a
// RetryInfo.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"

namespace fairlead::rpc {

// Messages are cut at 1,024 bytes. An absl code maps to the gRPC code of the same number.
grpc::Status ToGrpcStatus(const absl::Status& status);

// The other way: code, message, and the reason and field for ReasonOf() and FieldOf().
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace fairlead::rpc
