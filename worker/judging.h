// How a new version and the champion read the judged items of its manifest: what the gate decides
// on (hop 13). Both are loaded from their files as a prelabel job would; the version's has passed
// its load test (load_test.h).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fairlead/store/v1/records.pb.h"
#include "trainer/train.h"
#include "worker/job_handler.h"
#include "worker/prelabel_job.h"

namespace fairlead::worker {

// Model files: the version just trained and the one it has to beat.
struct Contest {
  std::string version, champion;
};

// A reading an example by each model, in order. CANCELLED or ABORTED by the context; otherwise what
// loading or reading says. Memory: one batch of images.
absl::StatusOr<store::v1::Evaluation> JudgeOcr(const Contest& contest,
                                               absl::Span<const trainer::OcrExample> examples,
                                               const PredictOptions& options, JobContext& context);

// Of pairs: right is 0.5 where people or the model see a tie; the loss is the cross entropy against
// the votes.
absl::StatusOr<store::v1::Evaluation> JudgePairs(const Contest& contest,
                                                 absl::Span<const trainer::PreferenceItem> pairs,
                                                 JobContext& context);

}  // namespace fairlead::worker
