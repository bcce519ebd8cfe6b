#include "scheduler/replay/online_crowd.h"

#include <algorithm>
#include <cmath>

#include "scheduler/quality/one_coin.h"
#include "scheduler/quality/score.h"
#include "scheduler/replay/replay_set.h"

namespace fairlead::replay {
namespace {

constexpr int kSweeps = 25;
constexpr double kSettled = 1e-4;  // Change of a quality that ends the sweeps.

// Probabilities out of log-odds, in place.
void Normalise(absl::Span<double> row) {
  const double top = *std::max_element(row.begin(), row.end());
  double total = 0;
  for (double& x : row) total += x = std::exp(x - top);
  for (double& x : row) x /= total;
}

}  // namespace

OnlineCrowd::OnlineCrowd(absl::Span<const int32_t> gold, dispatch::Pool& pool)
    : gold_(gold), pool_(pool), log_odds_(pool.posterior.size(), 0), votes_(gold.size()) {
  for (int32_t task = 0; task < static_cast<int32_t>(gold.size()); ++task) Update(task);
}

double OnlineCrowd::Weight(const quality::ContractorScore& score) const {
  const double k = std::max(pool_.classes, 2);
  return quality::VoteLogOdds(quality::ClampedQuality(quality::QualityMean(score), k), k);
}

absl::Span<double> OnlineCrowd::LogOdds(int32_t task) {
  const auto k = static_cast<size_t>(pool_.classes);
  return {log_odds_.data() + static_cast<size_t>(task) * k, k};
}

void OnlineCrowd::Update(int32_t task) {
  const absl::Span<const double> odds = LogOdds(task);
  const absl::Span<double> row(pool_.posterior.data() + static_cast<size_t>(task) * odds.size(),
                               odds.size());
  std::copy(odds.begin(), odds.end(), row.begin());
  Normalise(row);
  double entropy = 0;
  for (const double p : row) entropy -= p > 0 ? p * std::log(p) : 0;
  pool_.entropy[task] = entropy;
}

void OnlineCrowd::Add(int32_t task, int32_t contractor, int32_t cls, double seconds) {
  quality::ContractorScore& score = pool_.contractors[contractor].score;
  LogOdds(task)[cls] += Weight(score);
  if (gold_[task] != kNoTruth) {
    (cls == gold_[task] ? score.right : score.wrong) += 1;
  } else if (!votes_[task].empty()) {
    // The others' word, before his own is added.
    const double right = pool_.PosteriorOf(task)[cls];
    score.right += right;
    score.wrong += 1 - right;
  }
  quality::AddPace(seconds, score);
  votes_[task].push_back({contractor, cls});
  ++pool_.answers[task];
  Update(task);
}

bool OnlineCrowd::Tells(int32_t task) const {
  return gold_[task] != kNoTruth || votes_[task].size() >= 2;
}

double OnlineCrowd::Right(int32_t task, int32_t cls) const {
  if (gold_[task] == kNoTruth) return pool_.PosteriorOf(task)[cls];
  return cls == gold_[task] ? 1 : 0;
}

// A vote weighs what its author showed elsewhere. Otherwise a gold task would be easier than it
// looks to everybody else, for its truth is in its voters' scores, and would calibrate nothing.
void OnlineCrowd::Reweigh(int32_t task) {
  const bool tells = Tells(task);
  const absl::Span<double> odds = LogOdds(task);
  std::fill(odds.begin(), odds.end(), 0);
  for (const quality::batch::ClassVote& vote : votes_[task]) {
    quality::ContractorScore elsewhere = pool_.contractors[vote.contractor].score;
    if (tells) {
      const double right = Right(task, vote.cls);
      elsewhere.right = std::max(0.0, elsewhere.right - right);
      elsewhere.wrong = std::max(0.0, elsewhere.wrong - (1 - right));
    }
    odds[vote.cls] += Weight(elsewhere);
  }
  Update(task);
}

// The maximisation step and new posteriors; the largest change of a quality.
double OnlineCrowd::Weigh() {
  std::vector<Evidence> evidence(pool_.contractors.size());
  const auto tasks = static_cast<int32_t>(votes_.size());
  for (int32_t task = 0; task < tasks; ++task) {
    if (!Tells(task)) continue;
    for (const quality::batch::ClassVote& vote : votes_[task]) {
      const double right = Right(task, vote.cls);
      evidence[vote.contractor].right += right;
      evidence[vote.contractor].wrong += 1 - right;
    }
  }
  double change = 0;
  for (size_t c = 0; c < evidence.size(); ++c) {
    quality::ContractorScore& score = pool_.contractors[c].score;
    const double before = quality::QualityMean(score);
    score.right = evidence[c].right;
    score.wrong = evidence[c].wrong;
    change = std::max(change, std::abs(quality::QualityMean(score) - before));
  }
  for (int32_t task = 0; task < tasks; ++task) {
    if (!votes_[task].empty()) Reweigh(task);
  }
  return change;
}

// On the answered gold tasks, which look to the model like any other.
void OnlineCrowd::Calibrate() {
  std::vector<quality::batch::StatedConfidence> cases;
  for (int32_t task = 0; task < static_cast<int32_t>(votes_.size()); ++task) {
    if (gold_[task] == kNoTruth || votes_[task].empty()) continue;
    const int32_t best = Best(task);
    cases.push_back({pool_.PosteriorOf(task)[best], best == gold_[task]});
  }
  calibrated_ = static_cast<int>(cases.size()) >= quality::batch::Calibration::kLeastCases;
  calibration_ = quality::batch::Calibration::Fit(cases);
}

void OnlineCrowd::Refit() {
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    if (Weigh() < kSettled) break;
  }
  Calibrate();
}

int32_t OnlineCrowd::Best(int32_t task) const {
  const absl::Span<const double> row = pool_.PosteriorOf(task);
  return static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

double OnlineCrowd::Confidence(int32_t task) const {
  return calibration_(pool_.PosteriorOf(task)[Best(task)]);
}

}  // namespace fairlead::replay
