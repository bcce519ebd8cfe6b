#include "scheduler/replay/replay.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "scheduler/quality/batch/aggregate_classes.h"
#include "scheduler/quality/beta.h"
#include "scheduler/replay/online_crowd.h"

namespace fairlead::replay {
namespace {

constexpr size_t kOnline = 10;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double Ratio(double part, double whole) { return whole > 0 ? part / whole : kNone; }

class Run {
 public:
  Run(const ReplaySet& set, const dispatch::ChoicePolicy& policy, const ReplayOptions& options,
      uint64_t seed)
      : set_(set),
        policy_(policy),
        options_(options),
        state_(seed),
        gold_(set.tasks, kNoTruth),
        stopped_(set.tasks, false),
        asked_(set.answers.size(), false) {
    RevealGold();
    FillPool();
  }

  absl::StatusOr<ReplayOutcome> Play() {
    OnlineCrowd crowd(gold_, pool_);
    const auto budget = static_cast<size_t>(std::llround(options_.answers_per_task * set_.tasks));
    const size_t refit_every = static_cast<size_t>(std::max(20, set_.tasks / 3));
    size_t fitted = 0;  // Answers at the last fit.
    while (labels_.size() < budget) {
      const std::vector<int32_t> online = DrawOnline();
      if (online.empty() && fitted == labels_.size()) break;
      if (!online.empty()) {
        Answer(policy_.Choose(pool_, online, quality::NextRandom(state_)), crowd);
        if (labels_.size() < fitted + refit_every && labels_.size() < budget) continue;
      }
      crowd.Refit();
      fitted = labels_.size();
      Reopen(crowd);
    }
    return Conclude(crowd);
  }

 private:
  void RevealGold() {
    std::vector<int32_t> known;
    for (int32_t task = 0; task < set_.tasks; ++task) {
      if (set_.truth[task] != kNoTruth) known.push_back(task);
    }
    const auto revealed =
        static_cast<size_t>(options_.gold_rate * static_cast<double>(known.size()));
    for (size_t i = 0; i < revealed; ++i) {
      const size_t rest = known.size() - i;
      std::swap(known[i], known[i + quality::NextRandom(state_) % rest]);
      gold_[known[i]] = set_.truth[known[i]];
    }
  }

  void FillPool() {
    pool_.classes = set_.classes;
    pool_.answers_wanted = static_cast<int>(std::ceil(options_.answers_per_task));
    pool_.posterior.resize(static_cast<size_t>(set_.tasks) * static_cast<size_t>(set_.classes));
    pool_.entropy.resize(set_.tasks);
    pool_.answers.resize(set_.tasks);
    pool_.contractors.resize(set_.contractors);
    pool_.totals.contractors = set_.contractors;
    weight_.resize(set_.contractors);
    given_.resize(set_.contractors);
    for (int32_t c = 0; c < set_.contractors; ++c) {
      pool_.contractors[c].hash = set_.contractor_hash[c];
    }
    for (size_t i = 0; i < set_.answers.size(); ++i) {
      const GivenAnswer& answer = set_.answers[i];
      pool_.contractors[answer.contractor].open.push_back(answer.task);
      given_[answer.contractor].emplace(answer.task, i);
      weight_[answer.contractor] += 1;
    }
  }

  // Ten of those who can still be asked, weighted and without replacement: the first ten arrivals
  // of independent exponential clocks (Efraimidis, Spirakis 2006).
  std::vector<int32_t> DrawOnline() {
    std::vector<std::pair<double, int32_t>> arrivals;
    for (int32_t c = 0; c < set_.contractors; ++c) {
      if (weight_[c] <= 0) continue;
      arrivals.emplace_back(-std::log(quality::NextUniform(state_)) / weight_[c], c);
    }
    std::vector<int32_t> online;
    size_t sorted = 0;
    while (online.size() < kOnline && sorted < arrivals.size()) {
      const size_t end = std::min(arrivals.size(), sorted + kOnline);
      std::partial_sort(arrivals.begin() + static_cast<std::ptrdiff_t>(sorted),
                        arrivals.begin() + static_cast<std::ptrdiff_t>(end), arrivals.end());
      for (; sorted < end && online.size() < kOnline; ++sorted) {
        if (HasOpen(arrivals[sorted].second)) online.push_back(arrivals[sorted].second);
      }
    }
    for (const int32_t c : online) {
      pool_.contractors[c].online += 1;
      pool_.totals.online += 1;
    }
    return online;
  }

  // Forgets stopped tasks first; who has nothing left stays away until the next fit.
  bool HasOpen(int32_t contractor) {
    std::vector<int32_t>& open = pool_.contractors[contractor].open;
    if (options_.stop > 0) std::erase_if(open, [&](int32_t task) { return stopped_[task]; });
    if (open.empty()) weight_[contractor] = 0;
    return !open.empty();
  }

  // After a fit: which tasks are at the target now, and who can be asked what.
  void Reopen(const OnlineCrowd& crowd) {
    if (options_.stop <= 0) return;
    for (int32_t task = 0; task < set_.tasks; ++task) stopped_[task] = AtTarget(task, crowd);
    for (dispatch::PoolContractor& contractor : pool_.contractors) contractor.open.clear();
    std::fill(weight_.begin(), weight_.end(), 0);
    for (size_t i = 0; i < set_.answers.size(); ++i) {
      const GivenAnswer& answer = set_.answers[i];
      weight_[answer.contractor] += 1;
      if (asked_[i] || stopped_[answer.task]) continue;
      pool_.contractors[answer.contractor].open.push_back(answer.task);
    }
  }

  void Answer(const dispatch::Pick& pick, OnlineCrowd& crowd) {
    const size_t number = given_[pick.contractor].at(pick.task);
    const GivenAnswer& answer = set_.answers[number];
    asked_[number] = true;
    dispatch::PoolContractor& contractor = pool_.contractors[pick.contractor];
    auto it = std::find(contractor.open.begin(), contractor.open.end(), pick.task);
    *it = contractor.open.back();
    contractor.open.pop_back();
    contractor.answers += 1;
    pool_.totals.earned += 1;
    if (std::isfinite(answer.seconds)) {
      seconds_ += answer.seconds;
      ++timed_;
    }
    labels_.push_back({answer.task, answer.contractor, answer.cls});
    crowd.Add(answer.task, answer.contractor, answer.cls, answer.seconds);
    stopped_[answer.task] = AtTarget(answer.task, crowd);
  }

  // Where there is gold, nothing stops before it has said what a confidence is worth.
  bool AtTarget(int32_t task, const OnlineCrowd& crowd) const {
    if (options_.stop <= 0 || pool_.answers[task] == 0) return false;
    if (options_.gold_rate > 0 && !crowd.calibrated()) return false;
    return crowd.Confidence(task) >= options_.stop;
  }

  absl::StatusOr<ReplayOutcome> Conclude(const OnlineCrowd& crowd) const {
    ASSIGN_OR_RETURN(const auto matrix, quality::batch::LabelMatrix::Build(
                                            set_.tasks, set_.contractors, set_.classes, labels_));
    ASSIGN_OR_RETURN(const auto aggregated, quality::batch::AggregateClasses(
                                                matrix, gold_, quality::batch::Method::kAuto));
    double judged = 0, right = 0, stops = 0, stated = 0, realised = 0;
    for (int32_t task = 0; task < set_.tasks; ++task) {
      if (set_.truth[task] == kNoTruth || gold_[task] != kNoTruth) continue;
      judged += 1;
      right += aggregated.label[task] == set_.truth[task] ? 1 : 0;
      if (!stopped_[task]) continue;
      stops += 1;
      stated += crowd.Confidence(task);
      realised += crowd.Best(task) == set_.truth[task] ? 1 : 0;
    }
    std::vector<double> shares;
    for (const dispatch::PoolContractor& c : pool_.contractors) shares.push_back(c.answers);
    const auto starved = static_cast<double>(std::count(shares.begin(), shares.end(), 0.0));
    ReplayOutcome outcome;
    outcome.answers_per_task = static_cast<double>(labels_.size()) / set_.tasks;
    outcome.accuracy = Ratio(right, judged);
    outcome.starvation = starved / set_.contractors;
    outcome.gini = Gini(std::move(shares));
    outcome.seconds_per_label = Ratio(seconds_, timed_);
    outcome.stopped = static_cast<int64_t>(stops);
    outcome.stopped_share = Ratio(stops, judged);
    outcome.stated_at_stop = Ratio(stated, stops);
    outcome.realised_at_stop = Ratio(realised, stops);
    return outcome;
  }

  const ReplaySet& set_;
  const dispatch::ChoicePolicy& policy_;
  const ReplayOptions options_;
  uint64_t state_;  // Of the random numbers.
  std::vector<int32_t> gold_;
  std::vector<bool> stopped_;  // [task]: at the target now.
  std::vector<bool> asked_;    // [answer of the set]
  dispatch::Pool pool_;
  std::vector<double> weight_;  // [contractor]: answers in the set; 0 once nothing is left.
  std::vector<absl::flat_hash_map<int32_t, size_t>> given_;  // [contractor]: task to answer.
  std::vector<quality::batch::ClassLabel> labels_;           // Drawn so far.
  double seconds_ = 0, timed_ = 0;
};

}  // namespace

absl::Status ReplayOptions::Validate() const {
  if (!(answers_per_task > 0) || !std::isfinite(answers_per_task)) {
    return FieldError("answers-per-task", "must be a number above 0");
  }
  if (!(gold_rate >= 0 && gold_rate < 1)) return FieldError("gold-rate", "must be in [0, 1)");
  if (!(stop >= 0 && stop < 1)) return FieldError("stop", "must be in (0, 1), or 0 for never");
  return absl::OkStatus();
}

absl::StatusOr<ReplayOutcome> RunReplay(const ReplaySet& set, const dispatch::ChoicePolicy& policy,
                                        const ReplayOptions& options, uint64_t seed) {
  RETURN_IF_ERROR(options.Validate());
  if (set.tasks < 1 || set.contractors < 1 || set.classes < 1) {
    return FieldError("set", "has no answers");
  }
  return Run(set, policy, options, seed).Play();
}

double Gini(std::vector<double> shares) {
  std::sort(shares.begin(), shares.end());
  const auto n = static_cast<double>(shares.size());
  double weighted = 0;
  for (size_t i = 0; i < shares.size(); ++i) {
    weighted += (2 * static_cast<double>(i + 1) - n - 1) * shares[i];
  }
  const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  return total > 0 ? weighted / (n * total) : 0;
}

ReplaySummary Summarise(const std::vector<ReplayOutcome>& outcomes) {
  ReplaySummary summary;
  ReplayOutcome& mean = summary.mean;
  const auto n = static_cast<double>(outcomes.size());
  double squares = 0, stated = 0, realised = 0;
  for (const ReplayOutcome& one : outcomes) {
    mean.answers_per_task += one.answers_per_task / n;
    mean.accuracy += one.accuracy / n;
    mean.gini += one.gini / n;
    mean.starvation += one.starvation / n;
    mean.seconds_per_label += one.seconds_per_label / n;
    mean.stopped_share += one.stopped_share / n;
    mean.stopped += one.stopped;
    if (one.stopped == 0) continue;
    stated += one.stated_at_stop * static_cast<double>(one.stopped);
    realised += one.realised_at_stop * static_cast<double>(one.stopped);
  }
  mean.stated_at_stop = Ratio(stated, static_cast<double>(mean.stopped));
  mean.realised_at_stop = Ratio(realised, static_cast<double>(mean.stopped));
  for (const ReplayOutcome& one : outcomes) {
    squares += (one.accuracy - mean.accuracy) * (one.accuracy - mean.accuracy);
  }
  summary.accuracy_sd = n > 1 ? std::sqrt(squares / (n - 1)) : 0;
  return summary;
}

}  // namespace fairlead::replay
