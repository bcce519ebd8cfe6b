// A small transformer that scores a response to a prompt, and its training. The header is
// torch-free; what it declares is not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "trainer/reward/tokenizer.h"

namespace fairlead::trainer {

struct TransformerShape {
  int vocabulary = 0;  // Pieces and the separator.
  int width = 96;
  int layers = 2;
  int heads = 4;
  int positions = 256;
};

// A tensor by name; a model's are in the order of the network.
struct NamedValues {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// Whether there is a GPU, on which training a transformer is cheap.
bool HasTrainingDevice();

// Scores rows of pieces. Immutable, so thread-safe.
class TransformerScorer {
 public:
  // DATA_LOSS when the weights are not this shape's.
  static absl::StatusOr<std::unique_ptr<TransformerScorer>> Create(
      const TransformerShape& shape, absl::Span<const NamedValues> weights);
  ~TransformerScorer();

  // One score a row, in order; a row's does not depend on the others, but for rounding. Rows have
  // at least one token, at most `positions`. O(tokens · width² + Σ length² · width).
  std::vector<double> Scores(absl::Span<const TokenRow> rows) const;

 private:
  struct State;
  explicit TransformerScorer(std::unique_ptr<State> state);

  const std::unique_ptr<State> state_;
};

// Scores of the two heads and, to be filled in, the slopes of the loss by them; one entry a row.
struct HeadScores {
  std::vector<double> quality, length;
  std::vector<double> quality_slopes, length_slopes;
};

// The network in training: float32, AdamW, weights averaged over the steps. Equal calls with equal
// seed and threads give equal bits. Thread-compatible.
class TransformerLearner {
 public:
  // A fresh network, drawn from the seed. INVALID_ARGUMENT for a device that is not there.
  static absl::StatusOr<std::unique_ptr<TransformerLearner>> Create(const TransformerShape& shape,
                                                                    uint64_t seed,
                                                                    const std::string& device,
                                                                    int threads);
  ~TransformerLearner();

  // DATA_LOSS when they are not this network's.
  absl::Status SetWeights(absl::Span<const NamedValues> weights);

  // One step on all rows together; `judge` fills in the slopes. INTERNAL or RESOURCE_EXHAUSTED.
  absl::Status Step(absl::Span<const TokenRow> rows, int64_t step, double learning_rate,
                    double ema_decay, const std::function<void(HeadScores&)>& judge);

  // The averaged weights.
  std::vector<NamedValues> Averaged() const;

 private:
  struct State;
  explicit TransformerLearner(std::unique_ptr<State> state);

  const std::unique_ptr<State> state_;
};

}  // namespace fairlead::trainer
