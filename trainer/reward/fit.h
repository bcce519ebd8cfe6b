// From judged items to a reward model's weights: strength and temperature by cross-validation, then
// one fit of all. Torch-free and deterministic.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/reward/evaluate.h"
#include "trainer/reward/features.h"
#include "trainer/train.h"

namespace fairlead::trainer {

// What a reward model file holds.
struct LinearReward {
  std::string axis;
  FeatureOptions features;
  std::vector<float> idf;                   // By bucket.
  std::vector<std::vector<float>> members;  // Weights by bucket; one, or an ensemble's.
  double temperature = 1;
  double strength = 1;
  std::vector<WordWeight> top_words;
};

struct LinearRewardFit {
  LinearReward model;
  RewardMetrics cross_fold;
};

// Which blocks of features are used: a response that is judged alone needs its prompt's words,
// while between responses to one prompt they cancel.
FeatureOptions FeaturesFor(const RewardTrainOptions& options, bool single_responses);

// Folds are by prompt, so that responses to one prompt are never on both sides. With fewer than 50
// items nothing is chosen: strength 1 (or the given one), temperature 1. `champion` may be null;
// else its strength is kept and its weights are where the fit starts.
LinearRewardFit FitReward(const std::vector<const PreferenceItem*>& items,
                          const RewardTrainOptions& options, const FeatureOptions& features,
                          const LinearReward* champion);

std::string EncodeReward(const LinearReward& model, const std::string& data_digest);

// DATA_LOSS or INVALID_ARGUMENT with the reason for a hostile or foreign file.
absl::StatusOr<LinearReward> ReadReward(const TensorFile& file, const std::string& path);

}  // namespace fairlead::trainer
