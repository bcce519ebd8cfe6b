#include "trainer/reward/evaluate.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/philox.h"
#include "trainer/reward/features.h"
#include "trainer/reward/losses.h"

namespace fairlead::trainer {
namespace {

constexpr uint32_t kBootstrapPurpose = 0xB007;
constexpr int kBins = 10;

// Expected calibration error over ten equal bins of P(A); both sides of a pair count.
double CalibrationError(absl::Span<const ScoredPair> pairs) {
  double sum[kBins] = {}, hits[kBins] = {}, count[kBins] = {};
  for (const ScoredPair& pair : pairs) {
    const double p = Sigmoid(pair.margin);
    const double confidence = std::max(p, 1 - p);
    const double right = p >= 0.5 ? pair.target : 1 - pair.target;
    const int bin = std::min(kBins - 1, static_cast<int>((confidence - 0.5) * 2 * kBins));
    sum[bin] += confidence;
    hits[bin] += right;
    count[bin] += 1;
  }
  double error = 0;
  for (int i = 0; i < kBins; ++i) error += std::abs(sum[i] - hits[i]);
  return pairs.empty() ? 0 : error / static_cast<double>(pairs.size());
}

// Mann–Whitney: the chance that a yes scores above a no, ties half.
double AreaUnderCurve(absl::Span<const ScoredPair> pairs) {
  std::vector<std::pair<double, double>> order;
  for (const ScoredPair& pair : pairs) order.emplace_back(pair.margin, pair.target);
  std::sort(order.begin(), order.end());
  double below = 0, won = 0, yes = 0;
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    double tied_yes = 0, tied_no = 0;
    for (; end < order.size() && order[end].first == order[i].first; ++end) {
      (order[end].second > 0.5 ? tied_yes : tied_no) += 1;
    }
    won += tied_yes * (below + tied_no / 2);
    below += tied_no;
    yes += tied_yes;
    i = end;
  }
  return yes * below > 0 ? won / (yes * below) : 0;
}

}  // namespace

std::vector<ScoredPair> PairsOf(const PreferenceItem& item, absl::Span<const double> scores) {
  if (item.safe.has_value()) return {{scores[0], *item.safe ? 1.0 : 0.0, 0}};
  std::vector<double> words;
  for (const std::string& response : item.responses) {
    words.push_back(static_cast<double>(SplitWords(response).size()));
  }
  std::vector<ScoredPair> pairs;
  const auto add = [&](int a, int b, double target) {
    pairs.push_back({scores[a] - scores[b], target, words[a] - words[b]});
  };
  for (const Comparison& pair : item.comparisons) add(pair.a, pair.b, pair.preference_a);
  for (size_t level = 0; level < item.ranking.size(); ++level) {
    const std::vector<int>& tied = item.ranking[level];
    for (size_t i = 0; i < tied.size(); ++i) {
      for (size_t j = i + 1; j < tied.size(); ++j) add(tied[i], tied[j], 0.5);
      for (size_t lower = level + 1; lower < item.ranking.size(); ++lower) {
        for (const int index : item.ranking[lower]) add(tied[i], index, 1);
      }
    }
  }
  return pairs;
}

double RightOf(double value, double target) {
  if (value == 0 || target == 0.5) return 0.5;
  return (value > 0) == (target > 0.5) ? 1 : 0;
}

RewardMetrics Measure(absl::Span<const ScoredPair> pairs, bool single_responses) {
  RewardMetrics metrics;
  double decided = 0, right = 0, longer_right = 0;
  for (const ScoredPair& pair : pairs) {
    metrics.negative_log_likelihood += LogisticLoss(pair.margin, pair.target);
    ++metrics.count;
    if (pair.target == 0.5) continue;
    decided += 1;
    right += RightOf(pair.margin, pair.target);
    longer_right += RightOf(pair.longer, pair.target);
  }
  if (metrics.count > 0) metrics.negative_log_likelihood /= static_cast<double>(metrics.count);
  if (decided > 0) {
    metrics.pair_accuracy = right / decided;
    metrics.length_only_accuracy = longer_right / decided;
  }
  metrics.calibration_error = CalibrationError(pairs);
  const Slope slope = FitSlope(pairs);
  metrics.calibration_slope = slope.factor;
  metrics.calibration_slope_error = slope.error;
  if (single_responses) metrics.area_under_curve = AreaUnderCurve(pairs);
  return metrics;
}

Slope FitSlope(absl::Span<const ScoredPair> pairs) {
  double size = 0;
  for (const ScoredPair& pair : pairs) size += pair.margin * pair.margin;
  if (pairs.size() < 20 || size == 0) return {};
  // The cost is convex in the factor: bisect its derivative.
  double low = 0.02, high = 50;
  for (int i = 0; i < 60; ++i) {
    const double factor = (low + high) / 2;
    double slope = 0;
    for (const ScoredPair& pair : pairs) {
      slope += pair.margin * (Sigmoid(pair.margin * factor) - pair.target);
    }
    (slope > 0 ? high : low) = factor;
  }
  Slope result;
  result.factor = (low + high) / 2;
  double curvature = 0;
  for (const ScoredPair& pair : pairs) {
    const double p = Sigmoid(pair.margin * result.factor);
    curvature += pair.margin * pair.margin * p * (1 - p);
  }
  result.error = curvature > 0 ? 1 / std::sqrt(curvature) : INFINITY;
  return result;
}

Interval BootstrapMean(absl::Span<const double> differences, absl::Span<const uint32_t> block,
                       uint64_t seed, int draws) {
  std::vector<std::pair<double, double>> blocks;  // Sum and count.
  for (size_t i = 0; i < differences.size(); ++i) {
    if (i == 0 || block[i] != block[i - 1]) blocks.emplace_back(0, 0);
    blocks.back().first += differences[i];
    blocks.back().second += 1;
  }
  Interval interval;
  if (blocks.empty()) return interval;
  double sum = 0;
  for (const double difference : differences) sum += difference;
  interval.mean = sum / static_cast<double>(differences.size());
  std::vector<double> means;
  for (int draw = 0; draw < draws; ++draw) {
    PhiloxStream stream(seed, static_cast<uint32_t>(draw), 0, kBootstrapPurpose);
    double total = 0, count = 0;
    for (size_t i = 0; i < blocks.size(); ++i) {
      const auto& one = blocks[stream.Below(static_cast<uint32_t>(blocks.size()))];
      total += one.first;
      count += one.second;
    }
    means.push_back(total / count);
  }
  std::sort(means.begin(), means.end());
  interval.low = means[means.size() / 40];
  interval.high = means[means.size() - 1 - means.size() / 40];
  return interval;
}

}  // namespace fairlead::trainer
