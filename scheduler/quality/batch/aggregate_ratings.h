// One rating with a confidence for every task of a whole set of ratings. Pure; thread-safe; equal
// inputs give equal bits.
//
//   mean   plain mean.
//   bias   rating = truth + bias of the contractor + noise of the contractor's own variance; biases
//          are shrunk to zero with the weight of ten ratings, variances to the crowd's with that of
//          thirty (as in Raykar et al. 2010, §5, with bias); 50 rounds of conditional maxima.
//   auto   bias.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "scheduler/quality/batch/label_matrix.h"

namespace fairlead::quality::batch {

enum class RatingMethod { kAuto, kMean, kBias };

// By the names above. INVALID_ARGUMENT listing them.
absl::StatusOr<RatingMethod> ParseRatingMethod(absl::string_view name);
absl::string_view RatingMethodName(RatingMethod method);

struct RatingLabels {
  std::vector<double> label;  // [task]; gold where there is one; 0 without answers.
  // [task]: P(the label is within a tenth of the range of all ratings of the truth), by a normal
  // posterior whose spread is, with 20 answered gold tasks, scaled to that of hidden gold. 1 for
  // gold and where all ratings of the set are equal, 0 without answers.
  std::vector<double> confidence;
  std::vector<double> bias, variance;  // [contractor].
  bool calibrated_on_gold = false;
};

// `answers` has the numbers of `values` for classes; `gold` has one of them or kUnknown for every
// task. INVALID_ARGUMENT naming what is out of range, of another size, or not finite.
absl::StatusOr<RatingLabels> AggregateRatings(const LabelMatrix& answers,
                                              absl::Span<const double> values,
                                              absl::Span<const int32_t> gold, RatingMethod method);

}  // namespace fairlead::quality::batch
