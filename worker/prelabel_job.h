// Prelabel jobs: the champion's answers, with calibrated confidence, to tasks that wait (hop 14).
#pragma once

#include <string>

#include "worker/job_handler.h"
#include "worker/scratch.h"

namespace fairlead::worker {

struct PredictOptions {
  int threads = 1;
  std::string device = "auto";  // cpu | cuda | auto.
  int batch = 64;               // Images between two looks at the lease.
};

// "prelabel-ocr": a text an image. Images that cannot be decoded get no prelabel.
class PrelabelOcrHandler final : public JobHandler {
 public:
  PrelabelOcrHandler(BlobsOfJob blobs, Scratch scratch, PredictOptions options);
  absl::StatusOr<store::v1::JobResult> Run(const store::v1::JobRecord& job,
                                           JobContext& context) override;
  void Forget(const store::v1::JobRecord& job) override;

 private:
  const BlobsOfJob blobs_;
  const Scratch scratch_;
  const PredictOptions options_;
};

// "prelabel-reward": the side each pair's reward model prefers, with confidence max(p, 1 − p) where
// p = P(A better than B).
class PrelabelRewardHandler final : public JobHandler {
 public:
  PrelabelRewardHandler(BlobsOfJob blobs, Scratch scratch);
  absl::StatusOr<store::v1::JobResult> Run(const store::v1::JobRecord& job,
                                           JobContext& context) override;
  void Forget(const store::v1::JobRecord& job) override;

 private:
  const BlobsOfJob blobs_;
  const Scratch scratch_;
};

}  // namespace fairlead::worker
