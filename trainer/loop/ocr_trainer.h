// One training run, step by step. TrainOcr (train.h) is this from start to end.
#pragma once

#include <chrono>
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
  // Calibrates, measures, writes the model file.
  absl::StatusOr<OcrTrainResult> Finish(const std::string& output_path);

 private:
  explicit OcrTrainer(const OcrTrainOptions& options);

  absl::Status Prepare(absl::Span<const OcrExample> examples);
  absl::Status Resume();
  absl::Status ObeyCommand();
  absl::Status SaveCheckpoint();
  void TrainStep();
  void FinishEpoch();
  void Report(bool epoch_ended, double exact_match);
  double ExactMatchOfAverage();
  double SecondsSinceStart() const;

  const OcrTrainOptions options_;
  torch::Device device_;
  OcrConfig config_;
  TrainPlan plan_;
  OcrDataset set_;
  std::string data_digest_, run_digest_;
  OcrNet net_{nullptr};
  std::unique_ptr<FlatParameters> parameters_;
  std::unique_ptr<AdamW> optimiser_;
  std::unique_ptr<Augmenter> augmenter_;
  WarmStart warm_;

  int64_t step_ = 0;
  std::vector<int64_t> order_;  // Rows of the present epoch.
  int64_t order_epoch_ = -1;
  double loss_sum_ = 0;  // Since the epoch began or the run was resumed.
  int64_t loss_steps_ = 0;
  std::vector<TrainProgress> curve_;
  int64_t first_step_ = 0;  // Of this process.
  std::chrono::steady_clock::time_point started_, reported_, saved_;
};

}  // namespace fairlead::trainer
