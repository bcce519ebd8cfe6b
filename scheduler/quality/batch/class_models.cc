#include "scheduler/quality/batch/class_models.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "scheduler/quality/batch/one_coin_fit.h"

namespace fairlead::quality::batch {
namespace {

constexpr double kBeyondEvidence = 1e6;  // A row_strength that no contractor's answers reach.

ModelFit DenseCoin(const LabelMatrix& labels, const OneCoinFit& coin) {
  const int n = labels.classes();
  ModelFit fit;
  fit.posterior.resize(static_cast<size_t>(labels.tasks()) * n);
  for (int task = 0; task < labels.tasks(); ++task) {
    const auto votes = labels.votes(task);
    double* q = fit.posterior.data() + static_cast<size_t>(task) * n;
    std::fill(q, q + n, votes.empty() ? 1.0 / n : coin.unvoted[task]);
    for (size_t i = 0; i < votes.size(); ++i) {
      q[votes[i].cls] = coin.support[labels.first_vote(task) + static_cast<int64_t>(i)];
    }
  }
  fit.likelihood.resize(static_cast<size_t>(labels.contractors()) * n * n);
  for (size_t i = 0; i < fit.likelihood.size(); ++i) {
    const double p = coin.right[i / (static_cast<size_t>(n) * n)];
    const bool right = i / n % n == i % n;
    fit.likelihood[i] = n == 1 ? 1 : right ? p : (1 - p) / (n - 1);
  }
  return fit;
}

ConfusionOptions OptionsOf(Model model, const LabelMatrix& labels, int max_sweeps) {
  ConfusionOptions options;
  options.max_sweeps = max_sweeps;
  if (model == Model::kDawidSkene) {
    options.row_strength = options.pool_strength = options.class_strength = 0;
    return options;
  }
  options.class_strength = SparseClassStrength(labels);
  if (model == Model::kOwnRows) options.own_share = 0.5;
  if (model == Model::kOneCoinPrior) {
    options.own_share = 1;
    options.row_strength = kBeyondEvidence;
  }
  return options;
}

}  // namespace

ModelFit FitModel(Model model, const LabelMatrix& labels, absl::Span<const int32_t> gold,
                  int max_sweeps) {
  const bool plain = model == Model::kDawidSkene;
  const int sweeps = model == Model::kMajority || plain ? 0
                     : model == Model::kWeighted        ? 1
                                                        : max_sweeps / 2;
  ModelFit start = DenseCoin(labels, FitOneCoin(labels, gold, sweeps));
  switch (model) {
    case Model::kMajority:
    case Model::kWeighted:
    case Model::kOneCoin:
      return start;
    default:
      break;
  }
  ConfusionFit fit =
      FitConfusion(labels, gold, OptionsOf(model, labels, max_sweeps), std::move(start.posterior));
  return {std::move(fit.posterior), std::move(fit.likelihood)};
}

ModelFit Mixture(const std::vector<ModelFit>& fits, const Weights& weights) {
  ModelFit mixture = {std::vector<double>(fits[0].posterior.size(), 0),
                      std::vector<double>(fits[0].likelihood.size(), 0)};
  for (size_t m = 0; m < fits.size(); ++m) {
    for (size_t i = 0; i < mixture.posterior.size(); ++i) {
      mixture.posterior[i] += weights[m] * fits[m].posterior[i];
    }
    for (size_t i = 0; i < mixture.likelihood.size(); ++i) {
      mixture.likelihood[i] += weights[m] * fits[m].likelihood[i];
    }
  }
  return mixture;
}

int32_t BestClass(absl::Span<const double> posterior) {
  return static_cast<int32_t>(std::max_element(posterior.begin(), posterior.end()) -
                              posterior.begin());
}

}  // namespace fairlead::quality::batch
