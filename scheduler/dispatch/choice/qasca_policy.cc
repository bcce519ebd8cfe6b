// Baseline: QASCA (Zheng, Wang, Li, Cheng, Feng, SIGMOD 2015) for accuracy. Whoever asks for work
// gets the task whose expected best posterior his answer would raise most; it has plateaus where no
// single answer moves the best one, there the task with the fewest answers goes first.
#include <algorithm>

#include "scheduler/dispatch/choice/choice_rules.h"

namespace fairlead::dispatch {
namespace {

// The sum over answers of max over truths of P(truth, answer), less the best posterior now.
double ExpectedImprovement(absl::Span<const double> posterior, double quality) {
  const double k = std::max<double>(2, static_cast<double>(posterior.size()));
  const double miss = (1 - quality) / (k - 1);
  size_t first = 0;
  double second = 0;
  for (size_t i = 1; i < posterior.size(); ++i) {
    if (posterior[i] > posterior[first]) {
      second = posterior[first];
      first = i;
    } else {
      second = std::max(second, posterior[i]);
    }
  }
  double expected = 0;
  for (size_t answer = 0; answer < posterior.size(); ++answer) {
    const double other = answer == first ? second : posterior[first];
    expected += std::max(posterior[answer] * quality, other * miss);
  }
  return std::max(0.0, expected - posterior[first]);
}

class QascaChoice final : public ChoicePolicy {
 public:
  Pick Choose(const Pool& pool, absl::Span<const int32_t> online, uint64_t seed) const override {
    const int32_t contractor = AnyContractor(pool, online, seed);
    const double quality = quality::QualityMean(pool.contractors[contractor].score);
    return {contractor, BestTask(pool, contractor, seed, [&](int32_t t) {
              return ExpectedImprovement(pool.PosteriorOf(t), quality) - 1e-9 * pool.answers[t];
            })};
  }
};

}  // namespace

std::unique_ptr<ChoicePolicy> MakeQascaPolicy() { return std::make_unique<QascaChoice>(); }

}  // namespace fairlead::dispatch
