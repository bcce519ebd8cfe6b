// One training run, step by step. TrainOcr (train.h) is this from start to end.
#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "trainer/data/augment.h"
#include "trainer/data/dataset.h"
#include "trainer/loop/plan.h"
#include "trainer/nn/ocr_net.h"
#include "trainer/optim/adamw.h"
#include "trainer/train.h"

namespace fairlead::trainer {

// Thread-compatible. Every number that ends up in the model follows from examples, options, thread
// count and device class; clocks only decide when to report and to write checkpoints.
class OcrTrainer {
 public:
  // Prepares tensors and net; takes up a checkpoint of the same run when there is one.
  static absl::StatusOr<std::unique_ptr<OcrTrainer>> Create(absl::Span<const OcrExample> examples,
                                                            const OcrTrainOptions& options);
  // Trains to the end. CANCELLED or ABORTED as options.command says.
  absl::Status Run();
  // Calibrates, measures, writes the model file. The last call: the result holds the net.
  absl::StatusOr<OcrTrainResult> Finish(const std::string& output_path);
  bool resumed() const { return first_step_ > 0; }
  // A run of `epochs` with this head, measured on the validation split and thrown away.
  static absl::StatusOr<HeadTrial> TryHead(absl::Span<const OcrExample> examples,
                                           OcrTrainOptions options, const std::string& head,
                                           int epochs);

 private:
  // Wall seconds of this process by what the step did.
  struct Phases {
    double data = 0, forward = 0, backward = 0, optimiser = 0;
  };
  // Of the steps since the epoch began or the run was resumed.
  struct Sums {
    double loss = 0, gradient_norm = 0, clipped_share = 0;
    int64_t steps = 0;
  };

  explicit OcrTrainer(const OcrTrainOptions& options);

  absl::Status Prepare(absl::Span<const OcrExample> examples);
  absl::Status Resume();
  absl::Status ObeyCommand();
  absl::Status SaveCheckpoint();
  TensorMetadata RunMetadata() const;  // What the run is, for its files.
  absl::Status FinishWriting();        // Waits for the checkpoint under way.
  absl::Status TrainStep();
  // Of the images of `rows`, float32 whatever it was computed in.
  torch::Tensor LogitsInTraining(const torch::Tensor& images, absl::Span<const int64_t> rows,
                                 uint32_t epoch);
  // Forward and backward in parts of micro_batch_; returns the batch's loss. Throws what torch
  // does.
  double AddGradients(absl::Span<const int64_t> rows, uint32_t epoch);
  void FinishEpoch();
  void Report(bool epoch_ended, double exact_match);
  double ExactMatchOfAverage();
  double SecondsSinceStart() const;

  const OcrTrainOptions options_;
  torch::Device device_;
  OcrConfig config_;
  TrainPlan plan_;
  OcrDataset set_;
  std::vector<OcrSetAside> set_aside_;
  std::string data_digest_, run_digest_;
  OcrNet net_{nullptr};
  std::unique_ptr<FlatParameters> parameters_;
  std::unique_ptr<AdamW> optimiser_;
  std::unique_ptr<Augmenter> augmenter_;
  WarmStart warm_;

  int64_t step_ = 0;
  std::vector<int64_t> order_;  // Rows of the present epoch.
  int64_t order_epoch_ = -1;
  int micro_batch_ = 0;
  Sums sums_;
  Phases phases_;
  double cpu_seconds_ = 0;  // Of the process, all threads, while this ran.
  double stalled_ = 0;      // Longest time that a step waited for a checkpoint.
  std::vector<TrainProgress> curve_;
  int64_t first_step_ = 0;  // Of this process.
  std::chrono::steady_clock::time_point started_, reported_, saved_;
  std::future<absl::Status> writing_;  // Waits when destroyed.
};

}  // namespace fairlead::trainer
