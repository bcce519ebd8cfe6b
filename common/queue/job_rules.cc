#include "common/queue/job_rules.h"

#include <cstddef>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace fairlead::queue {
namespace {

constexpr size_t kMaxName = 256;
constexpr size_t kMaxRecord = 64 << 10;
constexpr size_t kMaxDescription = 4 << 10;
constexpr size_t kMaxNote = 1 << 10;
constexpr size_t kMaxError = 4 << 10;
constexpr size_t kMaxResults = 4 << 20;

absl::Status ValidateName(absl::string_view field, absl::string_view name) {
  if (name.empty() || name.size() > kMaxName) {
    return FieldError(field, absl::StrCat("must have 1 to ", kMaxName, " characters"));
  }
  for (const char c : name) {
    // '|' separates the parts of packed values.
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c)) || c == '|') {
      return FieldError(field, "must be printable, without spaces and '|'");
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateCount(absl::string_view field, size_t count, size_t most) {
  if (count <= most) return absl::OkStatus();
  return FieldError(field, absl::StrCat("has ", count, " entries, at most ", most, " are allowed"));
}

absl::Status ValidateSize(absl::string_view field, size_t size, size_t most) {
  if (size <= most) return absl::OkStatus();
  return FieldError(field, absl::StrCat("has ", size, " bytes, at most ", most, " are allowed"));
}

}  // namespace

absl::Status ValidateJob(const store::v1::JobRecord& job, int priority) {
  RETURN_IF_ERROR(ValidateName("job", job.job()));
  RETURN_IF_ERROR(ValidateName("kind", job.kind()));
  if (priority < -kMaxPriority || priority > kMaxPriority) {
    return FieldError("priority", absl::StrCat("must be within ±", kMaxPriority));
  }
  return ValidateSize("job", job.ByteSizeLong(), kMaxRecord);
}

absl::Status ValidateTick(const TickRequest& request) {
  RETURN_IF_ERROR(ValidateName("session", request.session));
  RETURN_IF_ERROR(ValidateSize("description", request.description.size(), kMaxDescription));
  RETURN_IF_ERROR(ValidateCount("kinds", request.kinds.size(), kMaxKinds));
  for (const std::string& kind : request.kinds) RETURN_IF_ERROR(ValidateName("kinds", kind));
  if (request.want < 0 || request.want > kMaxWant) {
    return FieldError("want", absl::StrCat("must be 0 to ", kMaxWant));
  }
  if (request.lease < absl::Milliseconds(1)) {
    return FieldError("lease", "must be at least a millisecond");
  }
  RETURN_IF_ERROR(ValidateCount("acks", request.acks.size(), kMaxBatch));
  RETURN_IF_ERROR(ValidateCount("nacks", request.nacks.size(), kMaxBatch));
  RETURN_IF_ERROR(ValidateCount("progress", request.progress.size(), kMaxBatch));
  size_t results = 0;
  for (const Ack& ack : request.acks) results += ack.result.ByteSizeLong();
  RETURN_IF_ERROR(ValidateSize("acks", results, kMaxResults));
  for (const Nack& nack : request.nacks) {
    RETURN_IF_ERROR(ValidateSize("nacks.error", nack.error.size(), kMaxError));
  }
  for (const ProgressNote& note : request.progress) {
    RETURN_IF_ERROR(ValidateSize("progress.text", note.text.size(), kMaxNote));
  }
  return absl::OkStatus();
}

absl::Status ValidateLimit(int limit, int most) {
  if (limit >= 1 && limit <= most) return absl::OkStatus();
  return FieldError("limit", absl::StrCat("must be 1 to ", most));
}

}  // namespace fairlead::queue
