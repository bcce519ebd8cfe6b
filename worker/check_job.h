// Checks of labels: every image is read by a model that was not trained on it.
#pragma once

#include "worker/job_handler.h"
#include "worker/scratch.h"
#include "worker/train_job.h"

namespace fairlead::worker {

// "check-ocr" over a DatasetManifest, gold left out. Parameters as of "train-ocr". About as long as
// a fresh training; keeps no checkpoints and starts over.
class CheckOcrHandler final : public JobHandler {
 public:
  CheckOcrHandler(BlobsOfJob blobs, Scratch scratch, TrainOptions options);
  absl::StatusOr<store::v1::JobResult> Run(const store::v1::JobRecord& job,
                                           JobContext& context) override;
  void Forget(const store::v1::JobRecord& job) override;

 private:
  const BlobsOfJob blobs_;
  const Scratch scratch_;
  const TrainOptions options_;
};

}  // namespace fairlead::worker
