// What a reader gets wrong, and how sure one can be of it: figures, a text and an image sheet.
// Torch-free.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "trainer/train.h"

namespace fairlead::trainer {

struct PositionErrors {
  int64_t count = 0;  // Texts that have this position.
  int64_t wrong = 0;  // Replaced or left out in the best alignment with what was read.
};

struct CalibrationBin {
  int64_t count = 0;
  double confidence = 0;  // Mean.
  double exact = 0;       // Share of texts read exactly.
};

struct OcrReport {
  int64_t count = 0;
  int64_t errors = 0;      // Texts not read exactly.
  double error_bound = 1;  // See UpperErrorBound.
  double exact_match = 0;
  double character_error_rate = 0;        // Edits over characters of the truth, pooled.
  double calibration_error = 0;           // ECE over the ten bins (Guo et al. 2017, equation 3).
  std::vector<PositionErrors> positions;  // From the left, in code points.
  std::vector<CalibrationBin> bins;       // Ten, by confidence.
  std::vector<int64_t> worst;  // Misread images, the most confident first; then the least certain.
};

// The one-sided 95 % upper bound of the error rate after `errors` of `count` (Clopper and Pearson
// 1934): the p at which so few errors have probability 0.05. About 3 / count for no error. 1 when
// count is 0.
double UpperErrorBound(int64_t errors, int64_t count);

// predictions[i] is what was read of examples[i]. O(Σ length²).
OcrReport MakeReport(absl::Span<const OcrExample> examples,
                     absl::Span<const OcrPrediction> predictions);

// For people: the figures, one thing a line.
std::string ReportText(const OcrReport& report);
// One JSON object.
std::string ReportJson(const OcrReport& report);

// An SVG of at most `limit` of the worst images, each with truth, reading and confidence.
absl::StatusOr<std::string> WorstSheet(const OcrReport& report,
                                       absl::Span<const OcrExample> examples,
                                       absl::Span<const OcrPrediction> predictions, int limit);

// An SVG of a training run: loss, and exact match on the validation split where it was measured.
absl::StatusOr<std::string> LearningCurve(absl::Span<const TrainProgress> curve);

}  // namespace fairlead::trainer
