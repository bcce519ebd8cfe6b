// The bytes of a job in the machine lane (lua/lane3.*.lua) and in its events. Pure.
//
// Body: a header of 8 bytes (mark, class, priority, attempts, crashes, '0', length of the flow), 6
// bytes of deadline if it has one, the flow, and the JobRecord without what id, class and flow say
// already. Entry: the id's length (1 byte), the id, the body's length (3 bytes), the body; a job
// that is gone from a grant is two bytes, the first of them 0. n texts in one: their lengths (3
// bytes each), then the texts.
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

// Appends the entry of a new job without priority and deadline, of the class of that number
// (0–255).
void AppendEntry(const store::v1::JobRecord& job, absl::string_view flow, int class_number,
                 std::string* out);
// Cuts the first entry off `*entries`; the id of one that is gone is "". False when it is broken.
bool CutEntry(absl::string_view* entries, absl::string_view* id, absl::string_view* body);

std::string JoinTexts(const std::vector<std::string>& texts);

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
// Of an event of kind "ended": its field "classes" ("<number> <name>\n"…), and the texts behind
// that: "e" and entries, as often as need be, then "r" and their results or errors as texts in one,
// and so on. Of kind "jobs",
// which workers of the version before tell: four texts for each job, id, body, "r", result or
// error. INTERNAL when they are broken.
absl::StatusOr<std::vector<store::v1::JobFinished>> DecodeEnded(
    absl::string_view kind, absl::string_view classes, const std::vector<absl::string_view>& ended);

}  // namespace fairlead::queue
