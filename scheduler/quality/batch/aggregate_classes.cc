#include "scheduler/quality/batch/aggregate_classes.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "scheduler/quality/batch/class_models.h"
#include "scheduler/quality/batch/held_out.h"
#include "scheduler/quality/batch/one_coin_fit.h"

namespace fairlead::quality::batch {
namespace {

constexpr double kBetterFamily = 0.6;
constexpr int kShares = 10;  // Steps of the share that gold chooses.

struct NamedMethod {
  Method method;
  absl::string_view name;
  std::vector<Model> models;
};

const std::vector<NamedMethod>& Methods() {
  static const auto& methods = *new std::vector<NamedMethod>{
      {Method::kAuto,
       "auto",
       {Model::kOneCoin, Model::kOneCoinPrior, Model::kCrowdRows, Model::kOwnRows}},
      {Method::kMajority, "mv", {Model::kMajority}},
      {Method::kWeighted, "weighted", {Model::kWeighted}},
      {Method::kOneCoin, "onecoin", {Model::kOneCoin}},
      {Method::kHierarchical, "hds", {Model::kCrowdRows}},
      {Method::kDawidSkene, "ds", {Model::kDawidSkene}},
  };
  return methods;
}

const NamedMethod& Named(Method method) {
  return *std::find_if(Methods().begin(), Methods().end(),
                       [method](const NamedMethod& m) { return m.method == method; });
}

absl::Status CheckGold(const LabelMatrix& labels, absl::Span<const int32_t> gold) {
  if (gold.size() != static_cast<size_t>(labels.tasks())) {
    return absl::InvalidArgumentError(
        absl::StrCat("gold: ", gold.size(), " entries for ", labels.tasks(), " tasks"));
  }
  for (size_t task = 0; task < gold.size(); ++task) {
    if (gold[task] >= kUnknown && gold[task] < labels.classes()) continue;
    return absl::InvalidArgumentError(absl::StrCat("gold[", task, "]: no such class"));
  }
  return absl::OkStatus();
}

// The shares of auto's four models, two of either family.
Weights Shares(double hierarchical) {
  const double coin = (1 - hierarchical) / 2;
  return {coin, coin, hierarchical / 2, hierarchical / 2};
}

std::vector<Weights> Candidates(Method method, bool by_gold) {
  if (method != Method::kAuto) return {{1.0}};
  if (!by_gold) return {Shares(kBetterFamily), Shares(1 - kBetterFamily)};
  std::vector<Weights> candidates;
  for (int i = kShares; i >= 0; --i) candidates.push_back(Shares(static_cast<double>(i) / kShares));
  return candidates;
}

// Expected share of right answers of each contractor, by what the labels are believed to be.
std::vector<double> ExpectedRight(const LabelMatrix& labels, const std::vector<double>& posterior) {
  std::vector<double> right(labels.contractors(), kCoinMean * kCoinStrength);
  std::vector<double> total(labels.contractors(), kCoinStrength);
  for (int task = 0; task < labels.tasks(); ++task) {
    for (const ClassVote& vote : labels.votes(task)) {
      right[vote.contractor] += posterior[static_cast<size_t>(task) * labels.classes() + vote.cls];
      total[vote.contractor] += 1;
    }
  }
  for (size_t w = 0; w < right.size(); ++w) right[w] /= total[w];
  return right;
}

// Labels of the tasks whose gold is known; leaves the others as they are.
void PinGold(absl::Span<const int32_t> gold, ClassLabels& result) {
  for (size_t task = 0; task < gold.size(); ++task) {
    if (gold[task] == kUnknown) continue;
    result.label[task] = gold[task];
    result.confidence[task] = 1;
  }
}

ClassLabels Empty(const LabelMatrix& labels) {
  ClassLabels result;
  result.label.assign(labels.tasks(), kUnknown);
  result.confidence.assign(labels.tasks(), 0);
  return result;
}

ClassLabels AggregateDense(const LabelMatrix& labels, absl::Span<const int32_t> gold,
                           Method method) {
  const std::vector<Model>& models = Named(method).models;
  ClassLabels result = Empty(labels);
  result.calibrated_on_gold = AnsweredGold(labels, gold) >= Calibration::kLeastCases;
  const std::vector<Weights> candidates = Candidates(method, result.calibrated_on_gold);
  const Assessment assessed = result.calibrated_on_gold
                                  ? AssessByGold(models, candidates, labels, gold)
                                  : AssessByVotes(models, candidates, labels, gold);
  result.calibration = assessed.calibration;
  const Weights& weights = candidates[assessed.best];
  std::vector<ModelFit> fits;
  fits.reserve(models.size());
  for (size_t m = 0; m < models.size(); ++m) {
    fits.push_back(FitModel(models[m], labels, gold, kFullSweeps));
    const bool rows = models[m] == Model::kCrowdRows || models[m] == Model::kOwnRows;
    if (rows) result.hierarchical_share += weights[m];
  }
  const ModelFit mixture = Mixture(fits, weights);
  const size_t n = labels.classes();
  for (int task = 0; task < labels.tasks(); ++task) {
    if (labels.votes(task).empty()) continue;
    const absl::Span<const double> q(mixture.posterior.data() + task * n, n);
    result.label[task] = BestClass(q);
    result.confidence[task] = n == 1 ? 1 : result.calibration(q[result.label[task]]);
  }
  result.right = ExpectedRight(labels, mixture.posterior);
  PinGold(gold, result);
  return result;
}

// The best named class by its support; what the fit says of classes that nobody named is below it.
ClassLabels LabelsOf(const LabelMatrix& labels, const OneCoinFit& fit) {
  ClassLabels result = Empty(labels);
  for (int task = 0; task < labels.tasks(); ++task) {
    const auto votes = labels.votes(task);
    for (size_t i = 0; i < votes.size(); ++i) {
      const double support = fit.support[labels.first_vote(task) + static_cast<int64_t>(i)];
      const bool tie_first =
          support == result.confidence[task] && votes[i].cls < result.label[task];
      if (support <= result.confidence[task] && !tie_first) continue;
      result.label[task] = votes[i].cls;
      result.confidence[task] = support;
    }
  }
  return result;
}

// For sets with too many classes for a confusion matrix: memory follows the answers.
ClassLabels AggregateSparse(const LabelMatrix& labels, absl::Span<const int32_t> gold, int sweeps) {
  const OneCoinFit fit = FitOneCoin(labels, gold, sweeps);
  ClassLabels result = LabelsOf(labels, fit);
  result.right = fit.right;
  if (AnsweredGold(labels, gold) >= Calibration::kLeastCases) {
    const std::vector<int32_t> hidden(gold.size(), kUnknown);
    const ClassLabels unseen = LabelsOf(labels, FitOneCoin(labels, hidden, sweeps));
    std::vector<StatedConfidence> stated;
    for (size_t task = 0; task < gold.size(); ++task) {
      if (gold[task] == kUnknown || unseen.label[task] == kUnknown) continue;
      stated.push_back({unseen.confidence[task], unseen.label[task] == gold[task]});
    }
    result.calibration = Calibration::Fit(stated);
    result.calibrated_on_gold = true;
    for (size_t task = 0; task < gold.size(); ++task) {
      if (result.label[task] == kUnknown) continue;
      result.confidence[task] = result.calibration(result.confidence[task]);
    }
  }
  PinGold(gold, result);
  return result;
}

}  // namespace

absl::StatusOr<Method> ParseMethod(absl::string_view name) {
  std::string known;
  for (const NamedMethod& method : Methods()) {
    if (method.name == name) return method.method;
    absl::StrAppend(&known, " ", method.name);
  }
  return absl::InvalidArgumentError(absl::StrCat("no method '", name, "'; there are:", known));
}

absl::string_view MethodName(Method method) { return Named(method).name; }

absl::StatusOr<ClassLabels> AggregateClasses(const LabelMatrix& labels,
                                             absl::Span<const int32_t> gold, Method method) {
  if (absl::Status status = CheckGold(labels, gold); !status.ok()) return status;
  if (FitsDense(labels)) return AggregateDense(labels, gold, method);
  if (method == Method::kHierarchical || method == Method::kDawidSkene) {
    return absl::ResourceExhaustedError(absl::StrCat(
        MethodName(method), ": ", labels.classes(), " classes and ", labels.contractors(),
        " contractors need too large confusion matrices; use ", "auto, onecoin, weighted or mv"));
  }
  const int sweeps = method == Method::kMajority   ? 0
                     : method == Method::kWeighted ? 1
                                                   : kFullSweeps / 2;
  return AggregateSparse(labels, gold, sweeps);
}

}  // namespace fairlead::quality::batch
