// What every implementation of the machine lane checks before it acts. Pure.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/queue/job_queue.h"

namespace fairlead::queue {

// INVALID_ARGUMENT naming the field: id and kind 1–256 printable characters without '|' and spaces,
// priority in ±kMaxPriority, the record at most 64 KiB.
absl::Status ValidateJob(const store::v1::JobRecord& job, int priority);

// INVALID_ARGUMENT naming the field: session and kinds as above, the bounds of job_queue.h, a lease
// of at least a millisecond, notes of at most 1 KiB, errors of at most 4 KiB, results of at most 4
// MiB together.
absl::Status ValidateTick(const TickRequest& request);

absl::Status ValidateLimit(int limit, int most);

}  // namespace fairlead::queue
