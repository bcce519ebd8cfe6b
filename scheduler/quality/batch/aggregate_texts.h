// One text with a confidence for every task of a whole set of transcriptions or translations. Pure;
// thread-safe; equal inputs give equal bits.
//
//   medoid  the answer with the least distance to the others, each weighted by its author's
//           reliability 1 / (0.02 + mean distance to the chosen answers, shrunk to the crowd's with
//           the weight of four answers); five rounds.
//   rover   words voted (rover.h) among the five most central answers, by reliability, written as
//           the winners wrote them.
//   auto    rover where texts are of words, medoid otherwise.
//
// Texts of four words and more on average are compared by words without regard to case and
// punctuation; shorter ones by code points as they stand, since there a comma may be all that
// matters. Distance is Levenshtein's over the longer length.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "scheduler/quality/batch/label_matrix.h"

namespace fairlead::quality::batch {

enum class TextMethod { kAuto, kMedoid, kRover };

// By the names above. INVALID_ARGUMENT listing them.
absl::StatusOr<TextMethod> ParseTextMethod(absl::string_view name);
absl::string_view TextMethodName(TextMethod method);

struct TextLabels {
  std::vector<std::string> label;  // [task]; the gold text where there is one; "" without answers.
  // [task]: expected similarity to the truth, one minus the distance: 1 for gold, 0 without
  // answers. Half the weighted mean distance of the answers to the label is taken for its error;
  // with 20 answered gold tasks that is scaled to what it really was while gold was hidden.
  std::vector<double> confidence;
  std::vector<double> error;  // [contractor]: mean distance to the labels, shrunk.
  bool by_words = false;
  bool calibrated_on_gold = false;
  TextMethod method = TextMethod::kMedoid;  // What was used.
};

// `answers` has the numbers of `texts` for classes; `gold` has one of them or kUnknown for every
// task. INVALID_ARGUMENT naming the task for gold out of range or of another size, or for texts of
// another number than the classes. Texts are compared up to their first 512 words or code points,
// and none that long is fused. O(pairs of answers to one task × their lengths multiplied).
absl::StatusOr<TextLabels> AggregateTexts(const LabelMatrix& answers,
                                          absl::Span<const std::string> texts,
                                          absl::Span<const int32_t> gold, TextMethod method);

}  // namespace fairlead::quality::batch
