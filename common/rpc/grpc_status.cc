#include "common/rpc/grpc_status.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "google/rpc/error_details.pb.h"

namespace fairlead::rpc {
namespace {

constexpr size_t kMaxMessage = 1024;

std::string DefaultReason(absl::StatusCode code) {
  return absl::StatusCodeToString(code);  // "NOT_FOUND", "INTERNAL", …
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(std::string(status.message().substr(0, kMaxMessage)));
  google::rpc::ErrorInfo info;
  const std::string reason = ReasonOf(status);
  info.set_reason(reason.empty() ? DefaultReason(status.code()) : reason);
  info.set_domain("fairlead");
  if (const std::string field = FieldOf(status); !field.empty()) {
    google::rpc::BadRequest bad;
    google::rpc::BadRequest::FieldViolation& violation = *bad.add_field_violations();
    violation.set_field(field);
    violation.set_description(details.message());
    details.add_details()->PackFrom(bad);
  }
  details.add_details()->PackFrom(info);
  if (absl::IsUnavailable(status) || absl::IsResourceExhausted(status)) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(absl::IsUnavailable(status) ? 1 : 10);
    details.add_details()->PackFrom(retry);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), details.message(),
                      details.SerializeAsString());
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  std::string field;
  if (details.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& any : details.details()) {
      google::rpc::BadRequest bad;
      if (any.Is<google::rpc::ErrorInfo>()) any.UnpackTo(&info);
      if (any.UnpackTo(&bad) && bad.field_violations_size() > 0) {
        field = bad.field_violations(0).field();
      }
    }
  }
  if (!field.empty()) {
    // FieldError writes "<field>: " before the message, which already has it.
    const std::string whole = status.error_message();
    absl::string_view message = whole;
    absl::ConsumePrefix(&message, absl::StrCat(field, ": "));
    return FieldError(field, message);
  }
  if (info.reason().empty()) return absl::Status(code, status.error_message());
  return Error(code, info.reason(), status.error_message());
}

}  // namespace fairlead::rpc
