#include "common/queue/job_rules.h"

#include <cstddef>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/queue/job_codec.h"

namespace fairlead::queue {
namespace {

constexpr size_t kMaxName = 255;
constexpr size_t kMaxRecords = 4 << 20;
constexpr int64_t kMaxCount = int64_t{1} << 31;
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

absl::Status ValidateJobs(const std::vector<NewJob>& jobs) {
  if (jobs.empty() || jobs.size() > kMaxEnqueue) {
    return FieldError("jobs", absl::StrCat("must be 1 to ", kMaxEnqueue));
  }
  size_t bytes = 0;
  for (const NewJob& job : jobs) {
    RETURN_IF_ERROR(ValidateName("job", job.record.job()));
    RETURN_IF_ERROR(ValidateName("kind", job.record.kind()));
    RETURN_IF_ERROR(ValidateName("model", FlowOf(job.record)));
    for (const std::string& label : job.record.requirements().labels()) {
      RETURN_IF_ERROR(ValidateName("requirements.labels", label));
      if (absl::StrContains(label, ',')) return FieldError("requirements.labels", "has a comma");
    }
    const std::string& device = job.record.requirements().device();
    if (!device.empty()) RETURN_IF_ERROR(ValidateName("requirements.device", device));
    if (job.priority < -kMaxPriority || job.priority > kMaxPriority) {
      return FieldError("priority", absl::StrCat("must be within ±", kMaxPriority));
    }
    const size_t size = job.record.ByteSizeLong();
    RETURN_IF_ERROR(ValidateSize("job", size, kMaxRecord));
    bytes += size;
  }
  return ValidateSize("jobs", bytes, kMaxRecords);
}

absl::Status ValidateTick(const TickRequest& request) {
  RETURN_IF_ERROR(ValidateName("session", request.session));
  RETURN_IF_ERROR(ValidateSize("description", request.description.size(), kMaxDescription));
  RETURN_IF_ERROR(ValidateCount("kinds", request.kinds.size(), kMaxKinds));
  for (const std::string& kind : request.kinds) RETURN_IF_ERROR(ValidateName("kinds", kind));
  if (request.want < 0 || request.want > kMaxBatch) {
    return FieldError("want", absl::StrCat("must be 0 to ", kMaxBatch));
  }
  if (request.lease < absl::Milliseconds(1) || request.lease > absl::Hours(24)) {
    return FieldError("lease", "must be a millisecond to a day");
  }
  RETURN_IF_ERROR(ValidateCount("acks", request.acks.size(), kMaxBatch));
  RETURN_IF_ERROR(ValidateCount("nacks", request.nacks.size(), kMaxBatch));
  RETURN_IF_ERROR(ValidateCount("progress", request.progress.size(), kMaxBatch));
  size_t results = 0;
  for (const Ack& ack : request.acks) results += ack.result.ByteSizeLong();
  RETURN_IF_ERROR(ValidateSize("acks", results, kMaxResults));
  for (const Nack& nack : request.nacks) {
    RETURN_IF_ERROR(ValidateSize("nacks.error", nack.error.size(), kMaxError));
    const double jitter = nack.jitter.value_or(0);
    if (!(jitter >= 0 && jitter <= 1)) return FieldError("nacks.jitter", "must be 0 to 1");
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

absl::Status ValidateIds(const std::vector<std::string>& jobs) {
  if (jobs.empty() || jobs.size() > kMaxBatch) {
    return FieldError("jobs", absl::StrCat("must be 1 to ", kMaxBatch));
  }
  return absl::OkStatus();
}

absl::Status ValidateLimits(absl::string_view flow, const FlowLimits& limits) {
  RETURN_IF_ERROR(ValidateName("flow", flow));
  if (limits.weight < 1 || limits.weight > kMaxWeight) {
    return FieldError("weight", absl::StrCat("must be 1 to ", kMaxWeight));
  }
  if (limits.leased < 0 || limits.leased >= kMaxCount) {
    return FieldError("leased", "must be 0 (no limit) to 2^31 - 1");
  }
  if (limits.waiting < 0 || limits.waiting >= kMaxCount) {
    return FieldError("waiting", "must be 0 (no limit) to 2^31 - 1");
  }
  if (!(limits.per_second >= 0 && limits.per_second <= 1e6)) {
    return FieldError("per_second", "must be 0 (no limit) to 1,000,000");
  }
  if (limits.burst < (limits.per_second > 0 ? 1 : 0) || limits.burst >= kMaxCount) {
    return FieldError("burst", "must be at least 1 with a rate");
  }
  return absl::OkStatus();
}

absl::Status ValidateRetention(const Retention& retention) {
  if (retention.count < 1000 || retention.count > 1'000'000) {
    return FieldError("count", "must be 1,000 to 1,000,000");
  }
  if (retention.age < absl::Seconds(1) || retention.age > absl::Hours(24 * 3650)) {
    return FieldError("age", "must be a second to ten years");
  }
  if (retention.result_bytes < 0 || retention.result_bytes > 65536) {
    return FieldError("result_bytes", "must be 0 to 65,536");
  }
  return absl::OkStatus();
}

}  // namespace fairlead::queue
