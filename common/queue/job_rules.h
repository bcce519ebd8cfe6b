// What every implementation of the machine lane checks before it acts. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/queue/job_queue.h"

namespace fairlead::queue {

// INVALID_ARGUMENT naming the field: 1–kMaxEnqueue jobs; id, kind and flow 1–255 printable
// characters without '|' and spaces, priority in ±kMaxPriority, device and labels words, a record
// at most 64 KiB and all of them 4 MiB.
absl::Status ValidateJobs(const std::vector<NewJob>& jobs);

// INVALID_ARGUMENT naming the field: session and kinds as above, the bounds of job_queue.h, a lease
// of a millisecond to a day, notes of at most 1 KiB, errors of at most 4 KiB, results of at most 4
// MiB together.
absl::Status ValidateTick(const TickRequest& request);

absl::Status ValidateLimit(int limit, int most);
absl::Status ValidateIds(const std::vector<std::string>& jobs);
absl::Status ValidateLimits(absl::string_view flow, const FlowLimits& limits);
absl::Status ValidateRetention(const Retention& retention);

}  // namespace fairlead::queue
