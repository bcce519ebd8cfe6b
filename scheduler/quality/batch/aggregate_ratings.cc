#include "scheduler/quality/batch/aggregate_ratings.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace fairlead::quality::batch {
namespace {

constexpr int kRounds = 50;
constexpr double kVarianceStrength = 30;  // Ratings that the crowd's variance counts for.
constexpr double kBiasStrength = 10;      // Ratings without bias that every contractor starts from.
constexpr double kLeastVariance = 1e-6;   // Of the variance of all ratings.
constexpr double kNear = 0.1;             // Of the range: what counts as right.
constexpr int64_t kLeastGold = 20;
constexpr double kSpreadStrength = 5;  // Gold tasks that an unscaled spread counts for.

// Truths, biases and variances of one set.
class Model {
 public:
  Model(const LabelMatrix& answers, absl::Span<const double> values, bool with_bias)
      : answers_(answers), values_(values), with_bias_(with_bias) {
    truth.assign(answers.tasks(), 0);
    spread.assign(answers.tasks(), 0);
    bias.assign(answers.contractors(), 0);
    double sum = 0;
    double squares = 0;
    const double n = std::max<double>(1, static_cast<double>(answers.size()));
    ForEach([&](int, const ClassVote& vote) { sum += values_[vote.cls]; });
    mean_ = sum / n;
    ForEach([&](int, const ClassVote& vote) {
      squares += (values_[vote.cls] - mean_) * (values_[vote.cls] - mean_);
    });
    total_variance_ = squares / n;
    variance.assign(answers.contractors(), std::max(total_variance_, Floor()));
  }

  void Fit(absl::Span<const int32_t> gold) {
    for (int round = 0; round < (with_bias_ ? kRounds : 1); ++round) {
      UpdateTruth(gold);
      UpdateContractors();
    }
  }

  std::vector<double> truth, spread;   // [task]: posterior mean and standard deviation.
  std::vector<double> bias, variance;  // [contractor].

 private:
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (int task = 0; task < answers_.tasks(); ++task) {
      for (const ClassVote& vote : answers_.votes(task)) visit(task, vote);
    }
  }
  // Above zero for any set, so that nothing is divided by zero.
  double Floor() const { return total_variance_ > 0 ? kLeastVariance * total_variance_ : 1e-12; }

  void UpdateTruth(absl::Span<const int32_t> gold) {
    for (int task = 0; task < answers_.tasks(); ++task) {
      if (gold[task] != kUnknown) {
        truth[task] = values_[gold[task]];
        spread[task] = 0;
        continue;
      }
      if (answers_.votes(task).empty()) continue;
      double precision = 0;
      double sum = 0;
      for (const ClassVote& vote : answers_.votes(task)) {
        precision += 1 / variance[vote.contractor];
        sum += (values_[vote.cls] - bias[vote.contractor]) / variance[vote.contractor];
      }
      truth[task] = sum / precision;
      spread[task] = std::sqrt(1 / precision);
    }
  }

  void UpdateContractors() {
    std::vector<double> sum(bias.size(), 0);
    std::vector<double> squares(bias.size(), 0);
    std::vector<double> count(bias.size(), 0);
    ForEach([&](int task, const ClassVote& vote) {
      sum[vote.contractor] += values_[vote.cls] - truth[task];
      count[vote.contractor] += 1;
    });
    for (size_t w = 0; with_bias_ && w < bias.size(); ++w) {
      bias[w] = sum[w] / (count[w] + kBiasStrength);
    }
    double all = 0;
    ForEach([&](int task, const ClassVote& vote) {
      const double residual = values_[vote.cls] - truth[task] - bias[vote.contractor];
      const double square = residual * residual + spread[task] * spread[task];
      squares[vote.contractor] += square;
      all += square;
    });
    const double crowd = all / std::max<double>(1, static_cast<double>(answers_.size()));
    for (size_t w = 0; w < variance.size(); ++w) {
      const double own = (squares[w] + kVarianceStrength * crowd) / (count[w] + kVarianceStrength);
      variance[w] = std::max(Floor(), with_bias_ ? own : crowd);
    }
  }

  const LabelMatrix& answers_;
  const absl::Span<const double> values_;
  const bool with_bias_;
  double mean_ = 0, total_variance_ = 0;
};

double Range(const LabelMatrix& answers, absl::Span<const double> values) {
  double least = 0;
  double most = 0;
  bool any = false;
  for (int task = 0; task < answers.tasks(); ++task) {
    for (const ClassVote& vote : answers.votes(task)) {
      const double value = values[vote.cls];
      least = any ? std::min(least, value) : value;
      most = any ? std::max(most, value) : value;
      any = true;
    }
  }
  return most - least;
}

// P(|N(0, spread²)| <= near); 1 where all ratings are equal and near is nothing.
double NearProbability(double near, double spread) {
  return spread > 0 && near > 0 ? std::erf(near / (spread * std::sqrt(2.0))) : 1;
}

// Root mean square of hidden gold's distance from the label in units of the stated spread, shrunk
// to one.
double SpreadScale(const LabelMatrix& answers, absl::Span<const double> values,
                   absl::Span<const int32_t> gold, bool with_bias) {
  Model model(answers, values, with_bias);
  model.Fit(std::vector<int32_t>(gold.size(), kUnknown));
  double sum = kSpreadStrength;
  double count = kSpreadStrength;
  for (int task = 0; task < answers.tasks(); ++task) {
    if (gold[task] == kUnknown || !(model.spread[task] > 0)) continue;
    const double z = (values[gold[task]] - model.truth[task]) / model.spread[task];
    sum += z * z;
    count += 1;
  }
  return std::sqrt(sum / count);
}

absl::Status Check(const LabelMatrix& answers, absl::Span<const double> values,
                   absl::Span<const int32_t> gold) {
  if (values.size() != static_cast<size_t>(answers.classes())) {
    return absl::InvalidArgumentError(
        absl::StrCat("values: ", values.size(), " for ", answers.classes(), " numbers"));
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    return absl::InvalidArgumentError(absl::StrCat("values[", i, "]: not a finite number"));
  }
  if (gold.size() != static_cast<size_t>(answers.tasks())) {
    return absl::InvalidArgumentError(
        absl::StrCat("gold: ", gold.size(), " entries for ", answers.tasks(), " tasks"));
  }
  for (size_t task = 0; task < gold.size(); ++task) {
    if (gold[task] >= kUnknown && gold[task] < answers.classes()) continue;
    return absl::InvalidArgumentError(absl::StrCat("gold[", task, "]: no such rating"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RatingMethod> ParseRatingMethod(absl::string_view name) {
  for (const RatingMethod method :
       {RatingMethod::kAuto, RatingMethod::kMean, RatingMethod::kBias}) {
    if (RatingMethodName(method) == name) return method;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no method '", name, "' for ratings; there are: auto mean bias"));
}

absl::string_view RatingMethodName(RatingMethod method) {
  switch (method) {
    case RatingMethod::kMean:
      return "mean";
    case RatingMethod::kBias:
      return "bias";
    case RatingMethod::kAuto:
      break;
  }
  return "auto";
}

absl::StatusOr<RatingLabels> AggregateRatings(const LabelMatrix& answers,
                                              absl::Span<const double> values,
                                              absl::Span<const int32_t> gold, RatingMethod method) {
  if (absl::Status status = Check(answers, values, gold); !status.ok()) return status;
  const bool with_bias = method != RatingMethod::kMean;
  int64_t known = 0;
  for (int task = 0; task < answers.tasks(); ++task) {
    known += gold[task] != kUnknown && !answers.votes(task).empty() ? 1 : 0;
  }
  RatingLabels result;
  result.calibrated_on_gold = known >= kLeastGold;
  const double scale =
      result.calibrated_on_gold ? SpreadScale(answers, values, gold, with_bias) : 1;
  Model model(answers, values, with_bias);
  model.Fit(gold);
  const double near = kNear * Range(answers, values);
  result.label = model.truth;
  result.confidence.assign(answers.tasks(), 0);
  for (int task = 0; task < answers.tasks(); ++task) {
    if (gold[task] != kUnknown) {
      result.confidence[task] = 1;
    } else if (!answers.votes(task).empty()) {
      result.confidence[task] = NearProbability(near, scale * model.spread[task]);
    }
  }
  result.bias = model.bias;
  result.variance = model.variance;
  return result;
}

}  // namespace fairlead::quality::batch
