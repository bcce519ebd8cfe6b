// Training jobs: a manifest of labelled items becomes a model file in the blob store (hop 12). A
// file that fails its load test is delivered without an evaluation, for the gate to refuse by name.
#pragma once

#include <cstdint>
#include <string>

#include "worker/image_shards.h"
#include "worker/job_handler.h"
#include "worker/load_test.h"
#include "worker/round.h"
#include "worker/scratch.h"

namespace fairlead::worker {

struct TrainOptions {
  int threads = 1;              // Part of the result: another count gives other bits.
  std::string device = "auto";  // cpu | cuda | auto.
  double checkpoint_seconds = 30;
  int64_t shard_bytes = int64_t{4} << 30;  // Of decoded images kept for later rounds.
};

// "train-ocr". Parameters of the job, all optional: epochs, batch, seed, variant, head,
// peak_learning_rate, image_height, image_width (see trainer::OcrTrainOptions). Resumes from the
// checkpoint that an earlier try of the same job left in `scratch` on this node.
class TrainOcrHandler final : public JobHandler {
 public:
  TrainOcrHandler(BlobsOfJob blobs, Scratch scratch, TrainOptions options,
                  LoadTestOptions load_test);
  absl::StatusOr<store::v1::JobResult> Run(const store::v1::JobRecord& job,
                                           JobContext& context) override;
  void Forget(const store::v1::JobRecord& job) override;

 private:
  // A warm round's images have the champion's size and come from shards; another's are as they were
  // submitted, for the trainer to choose a size.
  absl::StatusOr<Round<trainer::OcrExample>> RoundOf(const store::v1::JobRecord& job,
                                                     const store::v1::DatasetManifest& manifest,
                                                     BlobStore& blobs,
                                                     trainer::OcrTrainOptions& options,
                                                     JobContext& context);

  const BlobsOfJob blobs_;
  const Scratch scratch_;
  const TrainOptions options_;
  const LoadTestOptions load_test_;
  ImageShards shards_;
};

// "train-reward". Parameters: bits, epochs, l2, seed (see trainer::RewardTrainOptions). Seconds at
// most: it keeps no checkpoints and starts over.
class TrainRewardHandler final : public JobHandler {
 public:
  TrainRewardHandler(BlobsOfJob blobs, Scratch scratch, LoadTestOptions load_test);
  absl::StatusOr<store::v1::JobResult> Run(const store::v1::JobRecord& job,
                                           JobContext& context) override;
  void Forget(const store::v1::JobRecord& job) override;

 private:
  const BlobsOfJob blobs_;
  const Scratch scratch_;
  const LoadTestOptions load_test_;
};

}  // namespace fairlead::worker
