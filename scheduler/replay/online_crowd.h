// What is known of tasks and contractors while answers come in: the one-coin model kept up to date
// answer by answer (quality/one_coin.h), fitted anew now and then, its confidence calibrated on
// gold. Uniform class prior, the product's fixed prior for contractors, and evidence about a
// contractor only from gold and from tasks that others answered too: without these three the model
// runs away to one class at few answers a task. Not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "scheduler/dispatch/choice/choice_policy.h"
#include "scheduler/quality/batch/calibration.h"
#include "scheduler/quality/batch/label_matrix.h"

namespace fairlead::replay {

class OnlineCrowd {
 public:
  // Writes posteriors, entropies, answers and scores into `pool`, whose sizes are set. `gold` has a
  // class or kNoTruth a task; it judges contractors and calibrates, but a gold task looks like any
  // other to whoever chooses. Both must outlive this.
  OnlineCrowd(absl::Span<const int32_t> gold, dispatch::Pool& pool);

  // Folds one answer. O(classes).
  void Add(int32_t task, int32_t contractor, int32_t cls, double seconds);

  // Expectation maximisation from where it stands: at most 25 sweeps over all answers, then the
  // calibration. O(sweeps × answers × classes).
  void Refit();

  // The likeliest class, and the calibrated probability that it is right.
  int32_t Best(int32_t task) const;
  double Confidence(int32_t task) const;
  // Whether enough gold was answered for the confidence to be calibrated.
  bool calibrated() const { return calibrated_; }

 private:
  struct Evidence {
    double right = 0, wrong = 0;
  };
  double Weight(const quality::ContractorScore& score) const;
  absl::Span<double> LogOdds(int32_t task);
  void Update(int32_t task);
  bool Tells(int32_t task) const;  // Whether it is evidence about those who answered it.
  double Right(int32_t task, int32_t cls) const;
  void Reweigh(int32_t task);
  double Weigh();
  void Calibrate();

  const absl::Span<const int32_t> gold_;
  dispatch::Pool& pool_;
  std::vector<double> log_odds_;  // [task][class]
  std::vector<std::vector<quality::batch::ClassVote>> votes_;
  quality::batch::Calibration calibration_;
  bool calibrated_ = false;
};

}  // namespace fairlead::replay
