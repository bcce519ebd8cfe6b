#include "scheduler/quality/batch/held_out.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

#include "scheduler/quality/beta.h"

namespace fairlead::quality::batch {
namespace {

constexpr uint64_t kFolds = 5;
constexpr uint64_t kFoldsUsed = 2;
constexpr uint64_t kFoldSeed = 0x666f6c64;
constexpr double kLeastLikelihood = 1e-4;  // One certain error must not decide alone.
constexpr std::array<double, 10> kSlopes = {1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1};

std::vector<ModelFit> FitAll(const std::vector<Model>& models, const LabelMatrix& labels,
                             absl::Span<const int32_t> gold, int max_sweeps) {
  std::vector<ModelFit> fits;
  fits.reserve(models.size());
  for (const Model model : models) fits.push_back(FitModel(model, labels, gold, max_sweeps));
  return fits;
}

size_t IndexOfMost(const std::vector<double>& values) {
  return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

// A gold task as each model saw it while its truth was hidden.
struct HiddenTask {
  int32_t truth;
  std::vector<std::vector<double>> posterior;  // [model][truth].
};

std::vector<HiddenTask> HideGold(const std::vector<Model>& models, const LabelMatrix& labels,
                                 absl::Span<const int32_t> gold) {
  std::vector<HiddenTask> hidden;
  const size_t n = labels.classes();
  for (uint64_t half = 0; half < 2; ++half) {
    std::vector<int32_t> shown(gold.begin(), gold.end());
    std::vector<int> tasks;
    for (int task = 0; task < labels.tasks(); ++task) {
      if (gold[task] == kUnknown || MixSeeds(kFoldSeed, task) % 2 != half) continue;
      shown[task] = kUnknown;
      if (!labels.votes(task).empty()) tasks.push_back(task);
    }
    for (const int task : tasks) hidden.push_back({gold[task], {}});
    for (const ModelFit& fit : FitAll(models, labels, shown, kFullSweeps)) {
      for (size_t i = 0; i < tasks.size(); ++i) {
        const auto q = fit.posterior.begin() + static_cast<ptrdiff_t>(tasks[i] * n);
        hidden[hidden.size() - tasks.size() + i].posterior.emplace_back(
            q, q + static_cast<ptrdiff_t>(n));
      }
    }
  }
  return hidden;
}

std::vector<double> Mixed(const HiddenTask& task, const Weights& weights) {
  std::vector<double> q(task.posterior[0].size(), 0);
  for (size_t m = 0; m < weights.size(); ++m) {
    for (size_t k = 0; k < q.size(); ++k) q[k] += weights[m] * task.posterior[m][k];
  }
  return q;
}

// One fifth of the votes held out of the rest.
struct Split {
  LabelMatrix kept;
  std::vector<ClassLabel> held;
};

Split HoldOut(const LabelMatrix& labels, uint64_t fold) {
  std::vector<ClassLabel> kept;
  std::vector<ClassLabel> held;
  for (int task = 0; task < labels.tasks(); ++task) {
    int64_t vote = labels.first_vote(task);
    for (const ClassVote& v : labels.votes(task)) {
      auto& part = MixSeeds(kFoldSeed, vote++) % kFolds == fold ? held : kept;
      part.push_back({task, v.contractor, v.cls});
    }
  }
  // The numbers are those of a matrix that was built already.
  return {*LabelMatrix::Build(labels.tasks(), labels.contractors(), labels.classes(), kept),
          std::move(held)};
}

// P(the held vote) when the confidence in the best class becomes `calibration` of itself and the
// other classes share the rest as they did.
double VoteLikelihood(const ModelFit& fit, const ClassLabel& vote, size_t n,
                      const Calibration& calibration) {
  const double* q = fit.posterior.data() + vote.task * n;
  const double* row = fit.likelihood.data() + (vote.contractor * n + vote.cls) * n;
  const int32_t best = BestClass({q, n});
  double others = 0;
  for (size_t k = 0; k < n; ++k) others += static_cast<int32_t>(k) == best ? 0 : q[k] * row[k];
  if (calibration.identity()) return q[best] * row[best] + others;
  const double confidence = calibration(q[best]);
  const double rest = q[best] < 1 ? (1 - confidence) / (1 - q[best]) : 0;
  return confidence * row[best] + rest * others;
}

}  // namespace

int64_t AnsweredGold(const LabelMatrix& labels, absl::Span<const int32_t> gold) {
  int64_t count = 0;
  for (int task = 0; task < labels.tasks(); ++task) {
    if (gold[task] != kUnknown && !labels.votes(task).empty()) ++count;
  }
  return count;
}

Assessment AssessByGold(const std::vector<Model>& models, const std::vector<Weights>& candidates,
                        const LabelMatrix& labels, absl::Span<const int32_t> gold) {
  const std::vector<HiddenTask> hidden = HideGold(models, labels, gold);
  std::vector<double> likelihood(candidates.size(), 0);
  for (size_t c = 0; c < candidates.size(); ++c) {
    for (const HiddenTask& task : hidden) {
      likelihood[c] += std::log(std::max(kLeastLikelihood, Mixed(task, candidates[c])[task.truth]));
    }
  }
  Assessment assessment;
  assessment.best = IndexOfMost(likelihood);
  std::vector<StatedConfidence> stated;
  for (const HiddenTask& task : hidden) {
    const std::vector<double> q = Mixed(task, candidates[assessment.best]);
    const int32_t best = BestClass(q);
    stated.push_back({q[best], best == task.truth});
  }
  assessment.calibration = Calibration::Fit(stated);
  return assessment;
}

Assessment AssessByVotes(const std::vector<Model>& models, const std::vector<Weights>& candidates,
                         const LabelMatrix& labels, absl::Span<const int32_t> gold) {
  std::vector<std::vector<double>> by_slope(candidates.size(),
                                            std::vector<double>(kSlopes.size(), 0));
  for (uint64_t fold = 0; fold < kFoldsUsed; ++fold) {
    const Split split = HoldOut(labels, fold);
    const std::vector<ModelFit> fits = FitAll(models, split.kept, gold, kRoughSweeps);
    for (size_t c = 0; c < candidates.size(); ++c) {
      const ModelFit mixture = Mixture(fits, candidates[c]);
      for (size_t s = 0; s < kSlopes.size(); ++s) {
        const Calibration calibration = Calibration::Tempered(kSlopes[s]);
        for (const ClassLabel& vote : split.held) {
          if (gold[vote.task] != kUnknown || split.kept.votes(vote.task).empty()) continue;
          by_slope[c][s] += std::log(std::max(
              kLeastLikelihood, VoteLikelihood(mixture, vote, labels.classes(), calibration)));
        }
      }
    }
  }
  Assessment assessment;
  std::vector<double> untempered(candidates.size());
  for (size_t c = 0; c < candidates.size(); ++c) untempered[c] = by_slope[c][0];
  assessment.best = IndexOfMost(untempered);
  assessment.calibration = Calibration::Tempered(kSlopes[IndexOfMost(by_slope[assessment.best])]);
  return assessment;
}

}  // namespace fairlead::quality::batch
