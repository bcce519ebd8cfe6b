// What "auto" means: variant, head and schedule from the data and the device. Pure; torch-free.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "trainer/train.h"

namespace fairlead::trainer {

// What the choice depends on.
struct PlanFacts {
  int64_t train_examples = 0;
  int longest_text = 0;  // Characters.
  // Share of the training texts that have the commonest length, in [0, 1].
  double commonest_length_share = 0;
  int image_height = 0;  // Half of the training images are no higher.
  int image_width = 0;   // Scaled to that height, nine in ten are no wider.
  bool cuda = false;
  bool warm = false;
};

// From the training split. INVALID_ARGUMENT names the example whose text is not UTF-8, or says that
// there is none, or none with a text.
absl::StatusOr<PlanFacts> FactsOf(absl::Span<const OcrExample> examples);

struct TrainPlan {
  std::string variant;
  std::string head;
  int image_height = 0;
  int image_width = 0;
  int epochs = 0;
  int batch = 0;
  double peak_learning_rate = 0;
  double dropout = 0;           // Of the features that the head reads.
  double smoothing = 0;         // Of the targets; see heads.h.
  bool bf16 = false;            // Forward and backward in bfloat16 where torch's autocast does so.
  int64_t steps_per_epoch = 0;  // The remainder of an epoch is dropped; shuffling makes up for it.
  int64_t total_steps() const { return steps_per_epoch * epochs; }
};

// INVALID_ARGUMENT with the field for negative or absurd numbers.
absl::StatusOr<TrainPlan> MakePlan(const OcrTrainOptions& options, const PlanFacts& facts);

// The heads that suit the texts, the likeliest first: texts of (nearly) one length, short texts,
// free text. Nearly, because labels are made by people: a few of them miss a character.
std::vector<std::string> HeadCandidates(const PlanFacts& facts);

// Epochs after which candidates are compared; 0 when there are too few examples to tell them apart,
// and the first is taken untried.
int TrialEpochs(const PlanFacts& facts);

// The most exact; equals are told apart by the likelihood of the truth. `trials` is not empty.
const HeadTrial& BestTrial(const std::vector<HeadTrial>& trials);

}  // namespace fairlead::trainer
