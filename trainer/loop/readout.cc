#include "trainer/loop/readout.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace fairlead::trainer {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();
const double kUnspeltCost = -std::log(1e-12);

double LogSumExp(double a, double b) {
  const double high = std::max(a, b);
  if (high == kMinusInfinity) return high;
  return high + std::log(std::exp(a - high) + std::exp(b - high));
}

// log Σ exp(logits / temperature) of one position.
double LogPartition(const float* logits, int classes, double temperature) {
  const double high = *std::max_element(logits, logits + classes) / temperature;
  double sum = 0;
  for (int c = 0; c < classes; ++c) sum += std::exp(logits[c] / temperature - high);
  return high + std::log(sum);
}

// CTC's forward variables (Graves et al. 2006, equations 6 and 7), in logarithms.
double CtcLogLikelihood(const LogitsTable& table, const float* logits,
                        const std::vector<int64_t>& labels, double temperature) {
  const size_t states = 2 * labels.size() + 1;
  const auto class_of = [&](size_t s) { return s % 2 == 0 ? int64_t{kBlank} : labels[s / 2]; };
  std::vector<double> alpha(states, kMinusInfinity);
  for (int t = 0; t < table.positions; ++t) {
    const float* row = logits + int64_t{t} * table.classes;
    const double partition = LogPartition(row, table.classes, temperature);
    std::vector<double> next(states, kMinusInfinity);
    for (size_t s = 0; s < states; ++s) {
      double before = t == 0 ? (s < 2 ? 0.0 : kMinusInfinity) : alpha[s];
      if (t > 0 && s >= 1) before = LogSumExp(before, alpha[s - 1]);
      if (t > 0 && s >= 2 && class_of(s) != kBlank && class_of(s) != class_of(s - 2)) {
        before = LogSumExp(before, alpha[s - 2]);
      }
      next[s] = before + row[class_of(s)] / temperature - partition;
    }
    alpha = std::move(next);
  }
  return states == 1 ? alpha[0] : LogSumExp(alpha[states - 1], alpha[states - 2]);
}

// Bounded minimum of a function of one variable (Kiefer 1953), to 1e-3.
double GoldenSection(double low, double high, const std::function<double(double)>& cost) {
  constexpr double kRatio = 0.6180339887498949;
  double left = high - kRatio * (high - low);
  double right = low + kRatio * (high - low);
  double left_cost = cost(left);
  double right_cost = cost(right);
  while (high - low > 1e-3) {
    if (left_cost <= right_cost) {
      high = right;
      right = left;
      right_cost = left_cost;
      left = high - kRatio * (high - low);
      left_cost = cost(left);
    } else {
      low = left;
      left = right;
      left_cost = right_cost;
      right = low + kRatio * (high - low);
      right_cost = cost(right);
    }
  }
  return (low + high) / 2;
}

}  // namespace

OcrPrediction ReadImage(const LogitsTable& table, int64_t index, const Alphabet& alphabet,
                        double temperature) {
  const float* logits = table.image(index);
  std::vector<int> read;
  double log_confidence = 0;
  int last = kBlank;
  for (int p = 0; p < table.positions; ++p) {
    const float* row = logits + int64_t{p} * table.classes;
    const int best = static_cast<int>(std::max_element(row, row + table.classes) - row);
    log_confidence += row[best] / temperature - LogPartition(row, table.classes, temperature);
    if (!table.ctc || best != last) read.push_back(best);
    last = best;
  }
  return {alphabet.Decode(read), std::exp(log_confidence)};
}

double TextNegativeLogLikelihood(const LogitsTable& table, int64_t index, absl::string_view text,
                                 const Alphabet& alphabet, double temperature) {
  const float* logits = table.image(index);
  const auto classes = alphabet.Encode(text, table.positions);
  if (!classes.ok()) return kUnspeltCost;
  double cost = 0;
  if (table.ctc) {
    std::vector<int64_t> labels;
    for (const int64_t number : *classes) {
      if (number != kBlank) labels.push_back(number);
    }
    cost = -CtcLogLikelihood(table, logits, labels, temperature);
  } else {
    for (int p = 0; p < table.positions; ++p) {
      const float* row = logits + int64_t{p} * table.classes;
      cost += LogPartition(row, table.classes, temperature) - row[(*classes)[p]] / temperature;
    }
  }
  return std::min(cost, kUnspeltCost);
}

OcrMetrics MeasureReadings(const LogitsTable& table, absl::Span<const std::string> texts,
                           const Alphabet& alphabet, double temperature) {
  constexpr int kBins = 10;
  double right[kBins] = {}, confidence[kBins] = {};
  int64_t edits = 0, characters = 0;
  OcrMetrics metrics;
  metrics.count = static_cast<int64_t>(texts.size());
  if (texts.empty()) return metrics;
  for (size_t i = 0; i < texts.size(); ++i) {
    const OcrPrediction reading = ReadImage(table, i, alphabet, temperature);
    const bool exact = reading.text == texts[i];
    const auto truth = SplitCodePoints(texts[i]);
    const auto read = SplitCodePoints(reading.text);
    if (truth.ok() && read.ok()) {
      edits += EditDistance(*read, *truth);
      characters += static_cast<int64_t>(truth->size());
    }
    const int bin = std::clamp(static_cast<int>(reading.confidence * kBins), 0, kBins - 1);
    right[bin] += exact ? 1 : 0;
    confidence[bin] += reading.confidence;
    metrics.exact_match += exact ? 1 : 0;
    metrics.negative_log_likelihood +=
        TextNegativeLogLikelihood(table, i, texts[i], alphabet, temperature);
  }
  for (int b = 0; b < kBins; ++b) metrics.calibration_error += std::abs(right[b] - confidence[b]);
  const double count = static_cast<double>(texts.size());
  metrics.calibration_error /= count;
  metrics.exact_match /= count;
  metrics.negative_log_likelihood /= count;
  metrics.character_error_rate =
      static_cast<double>(edits) / static_cast<double>(std::max<int64_t>(1, characters));
  return metrics;
}

Calibration FitTemperature(const LogitsTable& table, absl::Span<const std::string> texts,
                           const Alphabet& alphabet) {
  if (texts.size() < 20) return {};
  std::vector<bool> exact;
  for (size_t i = 0; i < texts.size(); ++i) {
    exact.push_back(ReadImage(table, i, alphabet, 1.0).text == texts[i]);
  }
  const auto text_cost = [&](double log_temperature) {
    double cost = 0;
    for (size_t i = 0; i < texts.size(); ++i) {
      const double p = std::clamp(
          ReadImage(table, i, alphabet, std::exp(log_temperature)).confidence, 1e-6, 1 - 1e-6);
      cost -= exact[i] ? std::log(p) : std::log(1 - p);
    }
    return cost;
  };
  const auto character_cost = [&](double log_temperature) {
    double cost = 0;
    for (size_t i = 0; i < texts.size(); ++i) {
      cost += TextNegativeLogLikelihood(table, i, texts[i], alphabet, std::exp(log_temperature));
    }
    return cost;
  };
  const double low = std::log(0.2), high = std::log(10.0);
  const Calibration by_text{std::exp(GoldenSection(low, high, text_cost)), "text"};
  const Calibration by_character{std::exp(GoldenSection(low, high, character_cost)), "character"};
  const auto error = [&](const Calibration& fit) {
    return MeasureReadings(table, texts, alphabet, fit.temperature).calibration_error;
  };
  return error(by_text) <= error(by_character) ? by_text : by_character;
}

}  // namespace fairlead::trainer
