// The convex fit behind TrainReward: scores linear in sparse features, any of the losses.
// Torch-free and deterministic: the same input gives the same bits.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "trainer/reward/features.h"
#include "trainer/train.h"

namespace fairlead::trainer {

double Dot(absl::Span<const float> weights, const SparseVector& vector);

// The loss of one item's judgements at the given scores of its responses: the mean over its
// comparisons, its ranking's Plackett–Luce loss, or the logistic loss of its `safe`. All judgements
// of an item are one element, so an item of many pairs weighs no more than another (Ouyang et al.
// 2022, §3.5). Adds `weight` times the gradient.
double ItemLoss(const PreferenceItem& item, double smoothing, absl::Span<const double> scores,
                double weight, absl::Span<double> gradient);

// The features of every response of a list of items, over the buckets that occur in two responses
// or more: what occurs once says nothing about another response. Immutable.
class DesignMatrix {
 public:
  // Keeps references: `items` must outlive the matrix.
  DesignMatrix(const std::vector<const PreferenceItem*>& items, const TextFeatures& features);

  size_t items() const { return items_.size(); }
  const PreferenceItem& item(size_t i) const { return *items_[i]; }
  const std::vector<uint32_t>& buckets() const { return buckets_; }  // Of the columns, sorted.
  // Scores of the responses of item i.
  void Scores(size_t i, absl::Span<const double> weights, std::vector<double>& scores) const;
  // gradient += Σ_k slopes[k] · features of response k of item i.
  void AddGradient(size_t i, absl::Span<const double> slopes, absl::Span<double> gradient) const;
  // squares += weight · Σ of the squared features of item i's responses.
  void AddSquares(size_t i, double weight, absl::Span<double> squares) const;

 private:
  std::vector<const PreferenceItem*> items_;
  std::vector<size_t> first_row_;  // By item, with an end.
  std::vector<size_t> row_begin_;  // By row, with an end.
  std::vector<uint32_t> columns_;
  std::vector<float> values_;
  std::vector<uint32_t> buckets_;
};

struct LinearFitOptions {
  double strength = 1;  // Precision of the prior of every weight.
  // Columns' own factors on `strength`, by column; empty: all 1.
  std::vector<double> column_strength;
  double smoothing = 0;
  int max_steps = 100;
};

// Minimises Σ weight · ItemLoss + strength/2 · |w|² over the items listed in `rows` by L-BFGS
// (Nocedal 1980; memory 6, diagonal first guess, Armijo steps) from `start` (empty: 0) until the
// gradient is 0.005 of its size at 0. One weight a column. O(steps · non-zeros).
std::vector<double> FitLinear(const DesignMatrix& matrix, const std::vector<size_t>& rows,
                              const LinearFitOptions& options, std::vector<double> start);

}  // namespace fairlead::trainer
