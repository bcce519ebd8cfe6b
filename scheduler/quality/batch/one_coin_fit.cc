#include "scheduler/quality/batch/one_coin_fit.h"

#include <algorithm>
#include <cmath>

#include "scheduler/quality/one_coin.h"

namespace fairlead::quality::batch {
namespace {

constexpr double kTolerance = 1e-5;

// Softmax over the classes that were named and all that were not; a vote weighs its log-odds.
class Tally {
 public:
  explicit Tally(int classes) : classes_(classes), log_odds_(classes, 0), named_(classes, false) {}

  void Add(int cls, double log_odds) {
    if (!named_[cls]) touched_.push_back(cls);
    named_[cls] = true;
    log_odds_[cls] += log_odds;
  }
  void Normalise() {
    top_ = touched_.size() < static_cast<size_t>(classes_) ? 0 : log_odds_[touched_[0]];
    for (const int cls : touched_) top_ = std::max(top_, log_odds_[cls]);
    sum_ = static_cast<double>(classes_ - static_cast<int>(touched_.size())) * std::exp(-top_);
    for (const int cls : touched_) sum_ += std::exp(log_odds_[cls] - top_);
  }
  double Posterior(int cls) const { return std::exp(log_odds_[cls] - top_) / sum_; }
  double Unvoted() const { return std::exp(-top_) / sum_; }
  void Clear() {
    for (const int cls : touched_) {
      log_odds_[cls] = 0;
      named_[cls] = false;
    }
    touched_.clear();
  }

 private:
  int classes_;
  std::vector<double> log_odds_;
  std::vector<bool> named_;
  std::vector<int> touched_;
  double top_ = 0, sum_ = 1;
};

// Returns how far the support that moved most has moved.
double Expect(const LabelMatrix& labels, absl::Span<const int32_t> gold,
              const std::vector<double>& weight, Tally& tally, OneCoinFit& fit) {
  double moved = 0;
  for (int task = 0; task < labels.tasks(); ++task) {
    const auto votes = labels.votes(task);
    double* support = fit.support.data() + labels.first_vote(task);
    if (gold[task] != kUnknown) {
      for (size_t i = 0; i < votes.size(); ++i) support[i] = votes[i].cls == gold[task] ? 1 : 0;
      fit.unvoted[task] = 0;
      continue;
    }
    for (const ClassVote& vote : votes) tally.Add(vote.cls, weight[vote.contractor]);
    tally.Normalise();
    for (size_t i = 0; i < votes.size(); ++i) {
      const double p = tally.Posterior(votes[i].cls);
      moved = std::max(moved, std::abs(p - support[i]));
      support[i] = p;
    }
    fit.unvoted[task] = tally.Unvoted();
    tally.Clear();
  }
  return moved;
}

void Maximise(const LabelMatrix& labels, absl::Span<const int32_t> gold, OneCoinFit& fit) {
  const double alternatives = std::max(labels.classes(), 2);
  std::vector<double> right(labels.contractors(), kCoinMean * kCoinStrength);
  std::vector<double> total(labels.contractors(), kCoinStrength);
  for (int task = 0; task < labels.tasks(); ++task) {
    const auto votes = labels.votes(task);
    if (votes.size() < 2 && gold[task] == kUnknown) continue;
    const double* support = fit.support.data() + labels.first_vote(task);
    for (size_t i = 0; i < votes.size(); ++i) {
      right[votes[i].contractor] += support[i];
      total[votes[i].contractor] += 1;
    }
  }
  for (int w = 0; w < labels.contractors(); ++w) {
    fit.right[w] = ClampedQuality(right[w] / total[w], alternatives);
  }
}

}  // namespace

OneCoinFit FitOneCoin(const LabelMatrix& labels, absl::Span<const int32_t> gold, int sweeps) {
  OneCoinFit fit;
  const double alternatives = std::max(labels.classes(), 2);
  fit.right.assign(labels.contractors(), ClampedQuality(kCoinMean, alternatives));
  fit.support.assign(labels.size(), 0);
  fit.unvoted.assign(labels.tasks(), 0);
  Tally tally(labels.classes());
  std::vector<double> weight(labels.contractors());
  while (true) {
    for (int w = 0; w < labels.contractors(); ++w) {
      weight[w] = VoteLogOdds(fit.right[w], alternatives);
    }
    const double moved = Expect(labels, gold, weight, tally, fit);
    if (fit.sweeps == sweeps || (fit.sweeps > 1 && moved < kTolerance)) return fit;
    Maximise(labels, gold, fit);
    ++fit.sweeps;
  }
}

}  // namespace fairlead::quality::batch
