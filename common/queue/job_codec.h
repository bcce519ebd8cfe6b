// The bytes of a job in the machine lane (hash `job` of lua/lane2.*.lua) and in its events. Pure.
//
// Kept are: a header of 8 bytes (mark, class, priority, attempts, crashes, generation, length of
// the flow), 6 bytes of deadline if it has one, the flow, and the JobRecord without what id, class
// and flow say already. A done job is the mark 'd', 6 bytes of end time, and its result if it is
// small.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/queue/job_queue.h"
#include "fairlead/store/v1/records.pb.h"

namespace fairlead::queue {

// The flow a job waits in: its model (one a project), else its tenant, else "-".
std::string FlowOf(const store::v1::JobRecord& job);

// Kind and requirements: "train-ocr" or "train-ocr device=cuda memory=8192 labels=a,b" (labels in
// order, parts that require nothing left out). The jobs of a class can run on the same workers.
std::string ClassOf(const store::v1::JobRecord& job);
absl::string_view KindOf(absl::string_view job_class);
// Whether a worker may lease jobs of the class: it knows the kind and has what is required.
bool CanRun(absl::string_view job_class, const std::vector<std::string>& kinds,
            const Capabilities& able);

// The record without what FlowOf, ClassOf and the id restore.
std::string StripRecord(const store::v1::JobRecord& job);

// The bytes of a new job without priority and deadline, of the class of that number (0–255).
std::string EncodeNewJob(const store::v1::JobRecord& job, absl::string_view flow, int class_number);

struct StoredJob {
  store::v1::JobRecord record;
  bool dead = false;
  int priority = 0;
  int32_t attempts = 0;
  int32_t crashes = 0;
  absl::Time deadline = absl::InfiniteFuture();
  std::string flow;
};

// The class number in a job's bytes; -1 when they are none.
int ClassNumber(absl::string_view bytes);
// INTERNAL when `bytes` are not those of a live or dead job.
absl::StatusOr<StoredJob> DecodeJob(absl::string_view id, absl::string_view job_class,
                                    absl::string_view bytes);
// Of an event of kind "jobs": its field "classes" ("<number> <name>\n"…), and the texts behind
// that, four for each job that ended: id, bytes, "r", result or error. INTERNAL when they are
// broken.
absl::StatusOr<std::vector<store::v1::JobFinished>> DecodeEnded(
    absl::string_view classes, const std::vector<absl::string_view>& ended);
// The result in the bytes of a done job. INTERNAL when they are none.
absl::StatusOr<store::v1::JobResult> DecodeDone(absl::string_view bytes);

}  // namespace fairlead::queue
