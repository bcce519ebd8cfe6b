// Training jobs: a manifest of labelled items becomes a model file in the blob store (hop 12).
#pragma once

#include <string>

#include "worker/job_handler.h"
#include "worker/scratch.h"

namespace fairlead::worker {

struct TrainOptions {
  int threads = 1;              // Part of the result: another count gives other bits.
  std::string device = "auto";  // cpu | cuda | auto.
  double checkpoint_seconds = 30;
};

// "train-ocr". Parameters of the job, all optional: epochs, batch, seed, variant, head,
// peak_learning_rate, image_height, image_width (see trainer::OcrTrainOptions). Resumes from the
// checkpoint that an earlier try of the same job left in `scratch` on this node.
class TrainOcrHandler final : public JobHandler {
 public:
  TrainOcrHandler(BlobsOfJob blobs, Scratch scratch, TrainOptions options);
  absl::StatusOr<store::v1::JobResult> Run(const store::v1::JobRecord& job,
                                           JobContext& context) override;
  void Forget(const store::v1::JobRecord& job) override;

 private:
  const BlobsOfJob blobs_;
  const Scratch scratch_;
  const TrainOptions options_;
};

// "train-reward". Parameters: bits, epochs, l2, seed (see trainer::RewardTrainOptions). Seconds at
// most: it keeps no checkpoints and starts over.
class TrainRewardHandler final : public JobHandler {
 public:
  TrainRewardHandler(BlobsOfJob blobs, Scratch scratch);
  absl::StatusOr<store::v1::JobResult> Run(const store::v1::JobRecord& job,
                                           JobContext& context) override;
  void Forget(const store::v1::JobRecord& job) override;

 private:
  const BlobsOfJob blobs_;
  const Scratch scratch_;
};

}  // namespace fairlead::worker
