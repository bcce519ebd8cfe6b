// From judged items to a transformer's weights: pieces, batches, epochs, temperature. Torch-free
// and deterministic; the network's steps are transformer.h's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/reward/evaluate.h"
#include "trainer/reward/transformer.h"
#include "trainer/train.h"

namespace fairlead::trainer {

// What a transformer's model file holds.
struct TransformerReward {
  std::string axis;
  std::string pieces;  // The tokenizer's model.
  TokenLimits limits;
  TransformerShape shape;
  std::vector<NamedValues> weights;
  double temperature = 1;
};

struct TransformerFit {
  TransformerReward model;
  RewardMetrics held_out;  // Of the chosen epoch, after its temperature.
  // Of each held-out pair, at the temperature that fits best, in the order of the items.
  std::vector<double> losses;
  int64_t epochs = 0;  // The chosen one; later ones were worse.
  int64_t steps = 0, tokens = 0;
};

// A tenth of the prompts; what a transformer's epochs and temperature are chosen on. An item
// without prompt counts by its first response.
bool IsHeldOut(const PreferenceItem& item);

// At least one item. `champion` may be null; else its pieces and weights are where the training
// starts, at a third of the learning rate. With fewer than 50 items nothing is held out: one epoch,
// temperature 1.
absl::StatusOr<TransformerFit> FitTransformer(const std::vector<const PreferenceItem*>& items,
                                              const RewardTrainOptions& options,
                                              const TransformerReward* champion);

// −log-likelihood of each pair at the pairs' own best temperature, whose inverse is `factor`.
std::vector<double> LossesAtBest(const std::vector<ScoredPair>& pairs, double& factor);

std::string EncodeTransformer(const TransformerReward& model, const std::string& data_digest);
bool IsTransformer(const TensorFile& file);
// DATA_LOSS or INVALID_ARGUMENT with the reason for a hostile or foreign file.
absl::StatusOr<TransformerReward> ReadTransformer(const TensorFile& file, const std::string& path);

absl::StatusOr<std::unique_ptr<RewardModel>> ServeTransformer(TransformerReward model);

}  // namespace fairlead::trainer
