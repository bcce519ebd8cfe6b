#include "scheduler/quality/batch/confusion_em.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "scheduler/quality/batch/one_coin_fit.h"
#include "scheduler/quality/one_coin.h"

namespace fairlead::quality::batch {
namespace {

constexpr double kFloor = 1e-9;      // Of a probability: 32 of them multiplied stay above 1e-308.
constexpr int kVotesToRescale = 32;  // So a product needs no logarithms and cannot underflow.

// What one sweep reads and writes; K is the number of classes where the compiler may know it.
struct Tables {
  const LabelMatrix& labels;
  absl::Span<const int32_t> gold;
  const double* likelihood;
  const double* prior;
  double* counts;  // [contractor][answer][truth], zero at the start.
  double* totals;  // [truth], zero at the start.
  double* posterior;
};

template <int K>
int Classes(const Tables& t) {
  return K > 0 ? K : t.labels.classes();
}

// Scales to a sum of one; all to even shares where nothing is left of it.
template <int K>
void Normalise(int classes, double* q) {
  const int n = K > 0 ? K : classes;
  double sum = 0;
  for (int k = 0; k < n; ++k) sum += q[k];
  const double scale = sum > 0 ? 1 / sum : 0;
  for (int k = 0; k < n; ++k) q[k] = sum > 0 ? q[k] * scale : 1.0 / n;
}

template <int K>
void TaskPosterior(const Tables& t, int task, double* q) {
  const int n = Classes<K>(t);
  const auto votes = t.labels.votes(task);
  for (int k = 0; k < n; ++k) q[k] = t.prior[k];
  int multiplied = 0;
  for (const ClassVote& vote : votes) {
    const double* row = t.likelihood + (static_cast<size_t>(vote.contractor) * n + vote.cls) *
                                           static_cast<size_t>(n);
    for (int k = 0; k < n; ++k) q[k] *= row[k];
    if (++multiplied % kVotesToRescale == 0) Normalise<K>(n, q);
  }
  Normalise<K>(n, q);
}

// E step of each task, and at once its share of the M step's counts while its votes are in cache.
// Returns how far the posterior that moved most has moved.
template <int K>
double Sweep(const Tables& t, std::vector<double>& scratch) {
  const int n = Classes<K>(t);
  double* q = scratch.data();
  double moved = 0;
  for (int task = 0; task < t.labels.tasks(); ++task) {
    double* old = t.posterior + static_cast<size_t>(task) * n;
    if (t.gold[task] == kUnknown) {
      TaskPosterior<K>(t, task, q);
      for (int k = 0; k < n; ++k) moved = std::max(moved, std::abs(q[k] - old[k]));
      for (int k = 0; k < n; ++k) old[k] = q[k];
    }
    if (t.labels.votes(task).empty()) continue;
    for (int k = 0; k < n; ++k) t.totals[k] += old[k];
    for (const ClassVote& vote : t.labels.votes(task)) {
      double* row =
          t.counts + (static_cast<size_t>(vote.contractor) * n + vote.cls) * static_cast<size_t>(n);
      for (int k = 0; k < n; ++k) row[k] += old[k];
    }
  }
  return moved;
}

double SweepAny(const Tables& t, std::vector<double>& scratch) {
  switch (t.labels.classes()) {
    case 2:
      return Sweep<2>(t, scratch);
    case 3:
      return Sweep<3>(t, scratch);
    case 4:
      return Sweep<4>(t, scratch);
    case 5:
      return Sweep<5>(t, scratch);
    default:
      return Sweep<0>(t, scratch);
  }
}

// The crowd's rows, [answer][truth], each truth's column summing to one.
std::vector<double> PooledRows(int n, const std::vector<double>& counts, double strength) {
  const size_t cell = static_cast<size_t>(n) * n;
  std::vector<double> pool(cell, 0);
  for (size_t i = 0; i < counts.size(); ++i) pool[i % cell] += counts[i];
  const double wrong = n > 1 ? (1 - kCoinMean) / (n - 1) : 0;
  for (int k = 0; k < n; ++k) {
    double sum = 0;
    for (int l = 0; l < n; ++l) {
      double& p = pool[static_cast<size_t>(l) * n + k];
      p += strength * (n == 1 ? 1 : l == k ? kCoinMean : wrong) + kFloor;
      sum += p;
    }
    for (int l = 0; l < n; ++l) pool[static_cast<size_t>(l) * n + k] /= sum;
  }
  return pool;
}

// P(right) of one contractor whatever the truth, shrunk as one coin is.
double OwnCoin(int n, const double* count) {
  double right = kCoinMean * kCoinStrength;
  double total = kCoinStrength;
  for (int l = 0; l < n; ++l) {
    right += count[static_cast<size_t>(l) * n + l];
    for (int k = 0; k < n; ++k) total += count[static_cast<size_t>(l) * n + k];
  }
  return ClampedQuality(right / total, std::max(n, 2));
}

// One contractor's rows: its counts and row_strength answers spread as the crowd and its own coin
// would have them.
void UpdateRows(int n, const double* count, const std::vector<double>& pool,
                const ConfusionOptions& options, std::vector<double>& scale, double* row) {
  std::fill(scale.begin(), scale.end(), options.row_strength + kFloor * n);
  for (int l = 0; l < n; ++l) {
    for (int k = 0; k < n; ++k) scale[k] += count[static_cast<size_t>(l) * n + k];
  }
  for (double& s : scale) s = 1 / s;
  const double coin = options.own_share > 0 ? OwnCoin(n, count) : 0;
  const double own_right = options.own_share * options.row_strength * coin;
  const double own_wrong =
      n > 1 ? options.own_share * options.row_strength * (1 - coin) / (n - 1) : 0;
  const double crowd = (1 - options.own_share) * options.row_strength;
  for (int l = 0; l < n; ++l) {
    for (int k = 0; k < n; ++k) {
      const size_t i = static_cast<size_t>(l) * n + k;
      const double beforehand = crowd * pool[i] + (l == k ? own_right : own_wrong);
      row[i] = std::max(kFloor, (count[i] + beforehand + kFloor) * scale[k]);
    }
  }
}

void UpdateLikelihood(int n, int contractors, const std::vector<double>& counts,
                      const ConfusionOptions& options, std::vector<double>& likelihood) {
  const std::vector<double> pool = PooledRows(n, counts, options.pool_strength);
  const size_t cell = static_cast<size_t>(n) * n;
  std::vector<double> scale(n);
  for (int w = 0; w < contractors; ++w) {
    UpdateRows(n, counts.data() + w * cell, pool, options, scale, likelihood.data() + w * cell);
  }
}

void UpdatePrior(const std::vector<double>& totals, double strength, std::vector<double>& prior) {
  const double n = static_cast<double>(totals.size());
  const double sum = std::accumulate(totals.begin(), totals.end(), 0.0);
  for (size_t k = 0; k < totals.size(); ++k) {
    prior[k] = (totals[k] + strength + kFloor) / (sum + n * (strength + kFloor));
  }
}

}  // namespace

double SparseClassStrength(const LabelMatrix& labels) {
  const double tasks = std::max(labels.tasks(), 1);
  const double answers = static_cast<double>(labels.size()) / tasks;
  return 1 + tasks / labels.classes() * 0.9 / (1 + answers * answers * answers);
}

bool FitsDense(const LabelMatrix& labels) {
  constexpr double kMost = 1 << 24;
  const double n = labels.classes();
  return labels.tasks() * n <= kMost && labels.contractors() * n * n <= kMost;
}

ConfusionFit FitConfusion(const LabelMatrix& labels, absl::Span<const int32_t> gold,
                          const ConfusionOptions& options, std::vector<double> start) {
  const int n = labels.classes();
  ConfusionFit fit;
  fit.posterior = std::move(start);
  for (int task = 0; task < labels.tasks(); ++task) {
    if (gold[task] == kUnknown) continue;
    double* q = fit.posterior.data() + static_cast<size_t>(task) * n;
    std::fill(q, q + n, 0.0);
    q[gold[task]] = 1;
  }
  fit.prior.assign(n, 1.0 / n);
  fit.likelihood.assign(static_cast<size_t>(labels.contractors()) * n * n, 0);
  std::vector<double> counts(fit.likelihood.size(), 0);
  std::vector<double> totals(n, 0);
  std::vector<double> scratch(n);
  for (int task = 0; task < labels.tasks(); ++task) {
    const double* q = fit.posterior.data() + static_cast<size_t>(task) * n;
    if (labels.votes(task).empty()) continue;
    for (int k = 0; k < n; ++k) totals[k] += q[k];
    for (const ClassVote& vote : labels.votes(task)) {
      double* row = counts.data() + (static_cast<size_t>(vote.contractor) * n + vote.cls) * n;
      for (int k = 0; k < n; ++k) row[k] += q[k];
    }
  }
  while (fit.sweeps < options.max_sweeps) {
    UpdateLikelihood(n, labels.contractors(), counts, options, fit.likelihood);
    UpdatePrior(totals, options.class_strength, fit.prior);
    std::fill(counts.begin(), counts.end(), 0.0);
    std::fill(totals.begin(), totals.end(), 0.0);
    ++fit.sweeps;
    const Tables tables = {labels,        gold,          fit.likelihood.data(), fit.prior.data(),
                           counts.data(), totals.data(), fit.posterior.data()};
    if (SweepAny(tables, scratch) < options.tolerance) break;
  }
  return fit;
}

}  // namespace fairlead::quality::batch
