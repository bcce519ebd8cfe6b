// Looks for labels that are wrong: every example is read by a model that was not trained on it
// (out-of-fold loss outliers; Northcutt, Jiang, Chuang 2021, confident learning). Free of torch.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "trainer/train.h"

namespace fairlead::trainer {

struct LabelDoubt {
  size_t example = 0;     // Index into what was given.
  std::string read;       // What the model reads instead.
  double confidence = 0;  // Calibrated probability that this is right.
  double odds = 0;        // ln P(read) − ln P(label), nats: by how much it is likelier.
};

struct LabelCheckOptions {
  // Of every fold's model; its checkpoints, warm start and splits are not used.
  OcrTrainOptions training;
  int folds = 2;  // At least 2. More of them read better, and cost as much again each.
  // A doubt is another reading that is likely right and so much likelier than the label.
  double least_confidence = 0.5;
  double least_odds = 4;
  std::string scratch;  // An existing folder for the folds' models.
  std::function<void(int fold, const TrainProgress&)> on_progress;  // Optional; fold from 0.
};

// The examples whose text their fold's model doubts, greatest odds first; equal data and options
// give equal doubts. Folds are by hash of the id. Costs (folds − 1) trainings of all examples.
// Errors as of TrainOcr; INVALID_ARGUMENT for fewer than 2 folds or fewer than 10 examples a fold.
absl::StatusOr<std::vector<LabelDoubt>> CheckLabels(absl::Span<const OcrExample> examples,
                                                    const LabelCheckOptions& options);

}  // namespace fairlead::trainer
