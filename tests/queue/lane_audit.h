// What must hold in a machine lane whatever was done to it, asked through its port.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/queue/job_queue.h"
#include "tests/queue/lane_fixture.h"

namespace fairlead::queue {

// INTERNAL naming what is wrong among `jobs`, which are all the ids that were ever used: every one
// is in one state, all counts are those of the jobs, and each leased job is held once.
absl::Status AuditLane(JobQueue& queue, const std::vector<std::string>& jobs);

// Lifts the limits of the flows and finishes all there is. INTERNAL when something is left, be it
// in Redis: a job that waits in no queue, or a queue of no jobs.
absl::Status FinishLane(RedisLane& lane, const std::vector<std::string>& flows);

}  // namespace fairlead::queue
