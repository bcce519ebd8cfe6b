#include "scheduler/learn/paired_gate.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace fairlead::learn {
namespace {

using Items = std::vector<const PairedItem*>;
using Value = double (*)(const PairedItem&);

constexpr int64_t kFewGroups = 30;

double UpperTail(double z) { return std::erfc(z / std::sqrt(2.0)) / 2; }

// The z whose upper tail is `tail`; bisection, to 1e-9.
double QuantileOf(double tail) {
  double low = -10, high = 10;
  for (int i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    (UpperTail(middle) > tail ? low : high) = middle;
  }
  return (low + high) / 2;
}

double Gain(const PairedItem& item) { return item.challenger_right - item.champion_right; }
double LossChange(const PairedItem& item) { return item.challenger_loss - item.champion_loss; }

struct Mean {
  double value = 0;
  double error = 0;  // Standard error, groups independent (Liang and Zeger 1986).
  int64_t groups = 0, up = 0, down = 0;  // Groups whose sum is above and below 0.
};

Mean MeanOf(const Items& items, Value value) {
  std::map<uint64_t, std::pair<double, double>> groups;
  Mean mean;
  for (const PairedItem* item : items) {
    auto& [sum, count] = groups[item->group];
    sum += value(*item);
    count += 1;
    mean.value += value(*item);
  }
  const auto n = static_cast<double>(items.size());
  mean.value /= std::max(n, 1.0);
  double squares = 0;
  for (const auto& [group, entry] : groups) {
    const double residual = entry.first - entry.second * mean.value;
    squares += residual * residual;
    mean.up += entry.first > 0 ? 1 : 0;
    mean.down += entry.first < 0 ? 1 : 0;
  }
  mean.groups = static_cast<int64_t>(groups.size());
  const auto count = static_cast<double>(mean.groups);
  if (count > 1) mean.error = std::sqrt(squares * count / (count - 1)) / n;
  return mean;
}

// P(at least `up` of up + down) under a fair coin.
double SignTest(int64_t up, int64_t down) {
  const auto n = static_cast<double>(up + down);
  double tail = 0;
  for (int64_t k = up; k <= up + down; ++k) {
    const auto x = static_cast<double>(k);
    tail += std::exp(std::lgamma(n + 1) - std::lgamma(x + 1) - std::lgamma(n - x + 1) -
                     n * std::log(2.0));
  }
  return std::min(1.0, tail);
}

double PValue(const Mean& mean) {
  if (mean.up + mean.down < kFewGroups) return SignTest(mean.up, mean.down);
  return mean.error > 0 ? UpperTail(mean.value / mean.error) : (mean.value > 0 ? 0 : 1);
}

// Expected calibration error, ten equal bins of [0, 1].
double CalibrationError(const Items& items, double PairedItem::*confidence,
                        double PairedItem::*right) {
  double gap[10] = {};
  for (const PairedItem* item : items) {
    const int bin = std::clamp(static_cast<int>(item->*confidence * 10), 0, 9);
    gap[bin] += item->*confidence - item->*right;
  }
  double error = 0;
  for (const double one : gap) error += std::abs(one);
  return error / std::max<double>(1, static_cast<double>(items.size()));
}

// The standard error of the mean gap between confidence and outcome, were the confidence true.
double CalibrationNoise(const Items& items) {
  double variance = 0;
  for (const PairedItem* item : items) {
    variance += item->challenger_confidence * (1 - item->challenger_confidence);
  }
  return std::sqrt(std::max(0.0, variance)) /
         std::max<double>(1, static_cast<double>(items.size()));
}

// Which unsafe replies are caught when `false_alarms` of the safe ones are refused.
std::vector<bool> Caught(const std::vector<SafetyItem>& items, double SafetyItem::*score,
                         double false_alarms) {
  std::vector<double> safe;
  for (const SafetyItem& item : items) {
    if (item.safe) safe.push_back(item.*score);
  }
  std::sort(safe.begin(), safe.end());
  const double threshold =
      safe.empty() ? 0 : safe[static_cast<size_t>(false_alarms * static_cast<double>(safe.size()))];
  std::vector<bool> caught;
  for (const SafetyItem& item : items) {
    if (!item.safe) caught.push_back(item.*score < threshold);
  }
  return caught;
}

class Judge {
 public:
  Judge(const PairedEvidence& evidence, const PairedGateOptions& options)
      : evidence_(evidence), options_(options) {
    for (const PairedItem& item : evidence.frozen) all_.push_back(&item);
    for (const PairedItem& item : evidence.prequential) all_.push_back(&item);
  }

  PairedDecision Decide() {
    const bool passed = Finite() && Enough() && NoClassLost() && Likelihood() && Parts() &&
                        Slices() && Calibration() && Safety();
    if (passed) Superiority();
    return std::move(decision_);
  }

 private:
  bool Check(bool passed, const std::string& what) {
    decision_.checks.push_back(absl::StrCat(passed ? "passed: " : "refused: ", what));
    if (!passed) decision_.reason = decision_.checks.back();
    return passed;
  }

  bool Finite() {
    for (const PairedItem* item : all_) {
      for (const double value :
           {item->champion_right, item->challenger_right, item->champion_loss,
            item->challenger_loss, item->champion_confidence, item->challenger_confidence}) {
        if (!std::isfinite(value)) return Check(false, "a number is not finite");
      }
    }
    for (const SafetyItem& item : evidence_.safety) {
      if (!std::isfinite(item.champion_score) || !std::isfinite(item.challenger_score)) {
        return Check(false, "a safety score is not finite");
      }
    }
    return Check(true, "all numbers are finite");
  }

  bool Enough() {
    const Mean gain = MeanOf(all_, Gain);
    decision_.items = static_cast<int64_t>(all_.size());
    decision_.groups = gain.groups;
    decision_.gain = gain.value;
    decision_.gain_error = gain.error;
    decision_.p_value = PValue(gain);
    for (const PairedItem* item : all_) {
      decision_.gained += Gain(*item) > 0 ? 1 : 0;
      decision_.lost += Gain(*item) < 0 ? 1 : 0;
    }
    for (const PairedItem* item : all_) {
      for (const std::string& slice : item->slices) slices_[slice].push_back(item);
    }
    return Check(!all_.empty(),
                 absl::StrFormat("%d items of %d groups", decision_.items, decision_.groups));
  }

  bool NoClassLost() {
    for (const auto& [name, items] : slices_) {
      double champion = 0, challenger = 0;
      for (const PairedItem* item : items) {
        champion += item->champion_right;
        challenger += item->challenger_right;
      }
      if (items.size() >= options_.min_slice && challenger == 0 &&
          champion * 2 >= static_cast<double>(items.size())) {
        return Check(false, absl::StrFormat("%s is lost: champion right on %.0f of %d, challenger "
                                            "on none",
                                            name, champion, items.size()));
      }
    }
    return Check(true, "no class is lost");
  }

  // Whether `items` are worse by more than noise at the level `tail`.
  bool NotWorse(const std::string& name, const Items& items, Value value, double sign,
                double tail) {
    const Mean mean = MeanOf(items, value);
    const bool passed = sign * mean.value >= -QuantileOf(tail) * mean.error;
    return Check(passed, absl::StrFormat("%s: %+.4f ± %.4f", name, mean.value, mean.error));
  }

  bool Likelihood() {
    const Mean change = MeanOf(all_, LossChange);
    decision_.loss_change = change.value;
    decision_.loss_change_error = change.error;
    return NotWorse("loss", all_, LossChange, -1, options_.level);
  }

  bool Parts() {
    Items frozen, window;
    for (const PairedItem& item : evidence_.frozen) frozen.push_back(&item);
    for (const PairedItem& item : evidence_.prequential) window.push_back(&item);
    return NotWorse("frozen groups", frozen, Gain, 1, options_.level) &&
           NotWorse("prequential window", window, Gain, 1, options_.level);
  }

  bool Slices() {
    double judged = 0;
    for (const auto& [name, items] : slices_) judged += items.size() >= options_.min_slice ? 1 : 0;
    for (const auto& [name, items] : slices_) {
      if (items.size() < options_.min_slice) continue;
      if (!NotWorse(absl::StrCat("slice ", name), items, Gain, 1, options_.slice_level / judged)) {
        return false;
      }
    }
    return true;
  }

  bool Calibration() {
    const double champion =
        CalibrationError(all_, &PairedItem::champion_confidence, &PairedItem::champion_right);
    const double challenger =
        CalibrationError(all_, &PairedItem::challenger_confidence, &PairedItem::challenger_right);
    decision_.champion_calibration_error = champion;
    decision_.challenger_calibration_error = challenger;
    const double noise = QuantileOf(options_.level) * CalibrationNoise(all_);
    const bool passed = challenger <= options_.max_calibration_error + noise ||
                        challenger <= champion + options_.calibration_slack;
    return Check(passed,
                 absl::StrFormat("calibration error %.4f, champion's %.4f", challenger, champion));
  }

  bool Safety() {
    if (evidence_.safety.empty()) return true;
    const auto champion =
        Caught(evidence_.safety, &SafetyItem::champion_score, options_.safety_false_alarms);
    const auto challenger =
        Caught(evidence_.safety, &SafetyItem::challenger_score, options_.safety_false_alarms);
    double up = 0, down = 0, before = 0, after = 0;
    for (size_t i = 0; i < champion.size(); ++i) {
      up += challenger[i] && !champion[i] ? 1 : 0;
      down += champion[i] && !challenger[i] ? 1 : 0;
      before += champion[i] ? 1 : 0;
      after += challenger[i] ? 1 : 0;
    }
    const double unsafe = std::max<double>(1, static_cast<double>(champion.size()));
    decision_.champion_safety_recall = before / unsafe;
    decision_.challenger_safety_recall = after / unsafe;
    const bool passed = up - down >= -QuantileOf(options_.level) * std::sqrt(up + down);
    return Check(passed, absl::StrFormat("safety recall %.4f, champion's %.4f", after / unsafe,
                                         before / unsafe));
  }

  void Superiority() {
    decision_.promote = decision_.gain > 0 && decision_.p_value <= options_.level;
    decision_.reason = absl::StrFormat(
        "%s: gain %+.4f ± %.4f (%d gained, %d lost of %d items in %d groups), p %.4f, needed %.2f; "
        "loss %+.4f ± %.4f; calibration error %.4f against %.4f",
        decision_.promote ? "promoted" : "refused", decision_.gain, decision_.gain_error,
        decision_.gained, decision_.lost, decision_.items, decision_.groups, decision_.p_value,
        options_.level, decision_.loss_change, decision_.loss_change_error,
        decision_.challenger_calibration_error, decision_.champion_calibration_error);
    decision_.checks.push_back(decision_.reason);
  }

  const PairedEvidence& evidence_;
  const PairedGateOptions& options_;
  Items all_;
  std::map<std::string, Items> slices_;
  PairedDecision decision_;
};

}  // namespace

PairedDecision DecidePaired(const PairedEvidence& evidence, const PairedGateOptions& options) {
  return Judge(evidence, options).Decide();
}

}  // namespace fairlead::learn
