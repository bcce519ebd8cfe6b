// Dawid and Skene (1979), plain and hierarchical, by expectation maximisation over a whole set:
// P(answer l | truth k, contractor w), with each contractor's rows shrunk to the crowd's pooled
// rows and those to one coin. Pure; thread-safe; equal inputs give equal bits.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "scheduler/quality/batch/label_matrix.h"

namespace fairlead::quality::batch {

struct ConfusionOptions {
  // Answers that the crowd's pooled row counts for in each contractor's row; 0 is plain
  // Dawid–Skene.
  double row_strength = 5;
  // The share of the contractor's own one coin in what its rows are shrunk to; the rest is the
  // crowd's. With 1 and a row_strength beyond any evidence: one coin with a learned class prior.
  double own_share = 0;
  // Answers that one coin with kCoinMean counts for in each of the crowd's rows.
  double pool_strength = 50;
  // Tasks that an even spread over the classes counts for, each class: the larger, the less a class
  // prior can run away with sparse answers (Dirichlet MAP). See SparseClassStrength.
  double class_strength = 1;
  int max_sweeps = 100;
  double tolerance = 1e-5;  // Ends when no posterior moves further than this.
};

struct ConfusionFit {
  std::vector<double> posterior;   // [task][truth]; without votes the class prior.
  std::vector<double> likelihood;  // [contractor][answer][truth], above 0.
  std::vector<double> prior;       // [truth].
  int sweeps = 0;
};

// A class_strength that holds the class prior near even shares where tasks have two or three
// answers each (a tenth of the tasks at two, 0.7 % at five) and leaves it free where they have
// many.
double SparseClassStrength(const LabelMatrix& labels);

// Whether such a fit is small enough to be held: at most 2^24 numbers in each table.
bool FitsDense(const LabelMatrix& labels);

// `gold` has one class or kUnknown a task and is pinned; `start` the first guess, [task][truth],
// each row summing to one. REQUIRES FitsDense(labels) and sizes as said. O(sweeps × labels ×
// classes).
ConfusionFit FitConfusion(const LabelMatrix& labels, absl::Span<const int32_t> gold,
                          const ConfusionOptions& options, std::vector<double> start);

}  // namespace fairlead::quality::batch
