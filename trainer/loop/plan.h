// What "auto" means: variant, head and schedule from the data and the device. Pure; torch-free.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "trainer/train.h"

namespace fairlead::trainer {

// What the choice depends on.
struct PlanFacts {
  int64_t train_examples = 0;
  int longest_text = 0;  // Characters.
  // Share of the training texts that have the commonest length, in [0, 1].
  double commonest_length_share = 0;
  bool cuda = false;
  bool warm = false;
};

struct TrainPlan {
  std::string variant;
  std::string head;
  int epochs = 0;
  int batch = 0;
  double peak_learning_rate = 0;
  int64_t steps_per_epoch = 0;  // The remainder of an epoch is dropped; shuffling makes up for it.
  int64_t total_steps() const { return steps_per_epoch * epochs; }
};

// The head that "auto" means: one that reads fixed positions where (nearly) all texts have one
// length, else CTC. Nearly, because labels are made by people: a few of them miss a character.
std::string HeadFor(const PlanFacts& facts);

// INVALID_ARGUMENT with the field for negative or absurd numbers.
absl::StatusOr<TrainPlan> MakePlan(const OcrTrainOptions& options, const PlanFacts& facts);

}  // namespace fairlead::trainer
