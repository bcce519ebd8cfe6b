// What a stranger sent, checked before anything is stored: sizes, kinds, ranges. Pure; fuzzed.
// Every error is INVALID_ARGUMENT naming the field's path and the bound.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "fairlead/v1/admin_service.pb.h"
#include "fairlead/v1/resources.pb.h"
#include "fairlead/v1/task_service.pb.h"

namespace fairlead::api {

constexpr int kMaxTasksPerCall = 1000;
constexpr int64_t kMaxSubmitBytes = 3 << 20;
constexpr int64_t kMaxInlineImageBytes = 256 << 10;

// Checks the settings and fills the defaults that resources.proto documents.
absl::StatusOr<v1::ProjectSettings> ValidateSettings(v1::ProjectSettings settings);
absl::Status ValidatePayRate(const v1::PayRate& rate);
// `field` is the path of the payload ("tasks[17].payload"). Inline images are checked to be PNG or
// JPEG within limits; blobs only to be well-formed ids.
absl::Status ValidatePayload(absl::string_view field, const v1::AnswerSchema& schema,
                             const v1::Payload& payload);
// What an answer is to.
struct AnswerTerms {
  int ranking_size = 0;  // Responses of a RANKING payload.
  bool review = false;   // Of somebody's attempt.
};
absl::Status ValidateAnswer(absl::string_view field, const v1::AnswerSchema& schema,
                            const v1::Answer& answer, const AnswerTerms& terms);
// Count, size and request id of a submit; then every task against the schema.
absl::Status ValidateSubmit(const v1::SubmitTasksRequest& request, const v1::AnswerSchema& schema);
absl::Status ValidateGold(const v1::AddGoldRequest& request, const v1::AnswerSchema& schema);
absl::Status ValidateContractor(const v1::Contractor& contractor);

}  // namespace fairlead::api
