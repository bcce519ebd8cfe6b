// From logits to texts, confidences and metrics. Torch-free, in double, so that the figures do not
// depend on the device.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "trainer/data/labels.h"
#include "trainer/train.h"

namespace fairlead::trainer {

// Logits of a set of images: images × positions × classes, row-major.
struct LogitsTable {
  int positions = 0;
  int classes = 0;
  bool ctc = false;  // Repeats collapse and positions are columns.
  std::vector<float> values;

  int64_t images() const {
    const int64_t size = int64_t{positions} * classes;
    return size == 0 ? 0 : static_cast<int64_t>(values.size()) / size;
  }
  const float* image(int64_t index) const {
    return values.data() + index * int64_t{positions} * classes;
  }
};

// The likeliest class of every position; confidence is the product over the positions of the
// largest softmax of logits / temperature.
OcrPrediction ReadImage(const LogitsTable& table, int64_t index, const Alphabet& alphabet,
                        double temperature);

// −log P(text) at the temperature, in nats; a text that the model cannot spell costs −log 1e-12.
double TextNegativeLogLikelihood(const LogitsTable& table, int64_t index, absl::string_view text,
                                 const Alphabet& alphabet, double temperature);

// Over all images; texts[i] is the truth of image i. Expected calibration error over 10 equal bins
// (Guo et al., ICML 2017, equation 3).
OcrMetrics MeasureReadings(const LogitsTable& table, absl::Span<const std::string> texts,
                           const Alphabet& alphabet, double temperature);

struct Calibration {
  double temperature = 1.0;
  std::string target = "none";  // text | character | none.
};

// The temperature (0.2–10) that minimises, on this set, the negative log-likelihood of "the whole
// text is right" given the confidence, or that of the characters: both are fitted by golden-section
// search and the one with the smaller calibration error is taken. Fewer than 20 images: 1 and
// "none".
Calibration FitTemperature(const LogitsTable& table, absl::Span<const std::string> texts,
                           const Alphabet& alphabet);

}  // namespace fairlead::trainer
