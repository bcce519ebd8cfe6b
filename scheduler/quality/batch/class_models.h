// Internal to aggregate_classes: the models that the methods are mixtures of, each fitted to a
// whole set in the same dense form, and their mixture. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "scheduler/quality/batch/confusion_em.h"
#include "scheduler/quality/batch/label_matrix.h"

namespace fairlead::quality::batch {

enum class Model {
  kMajority,      // Everybody counts the same.
  kWeighted,      // By agreement with the majority.
  kOneCoin,       // Robust one coin, even class prior.
  kOneCoinPrior,  // One coin, learned class prior.
  kCrowdRows,     // Hierarchical Dawid–Skene, rows shrunk to the crowd's.
  kOwnRows,       // The same, half to the crowd's and half to the contractor's own coin.
  kDawidSkene,    // Plain.
};

struct ModelFit {
  std::vector<double> posterior;   // [task][truth].
  std::vector<double> likelihood;  // [contractor][answer][truth].
};

// Sweeps of expectation maximisation: as many as labels deserve, and as many as tell models apart.
inline constexpr int kFullSweeps = 100;
inline constexpr int kRoughSweeps = 25;

// REQUIRES FitsDense(labels).
ModelFit FitModel(Model model, const LabelMatrix& labels, absl::Span<const int32_t> gold,
                  int max_sweeps);

// One for each model, summing to one.
using Weights = std::vector<double>;

// The weighted sum of the fits' tables.
ModelFit Mixture(const std::vector<ModelFit>& fits, const Weights& weights);

// The class with the largest posterior, the first of several.
int32_t BestClass(absl::Span<const double> posterior);

}  // namespace fairlead::quality::batch
