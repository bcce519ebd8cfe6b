// Baseline: the contractor with the best quality score, tasks in turn.
#include "scheduler/dispatch/choice/choice_rules.h"

namespace fairlead::dispatch {
namespace {

class BestScoreChoice final : public ChoicePolicy {
 public:
  Pick Choose(const Pool& pool, absl::Span<const int32_t> online, uint64_t seed) const override {
    const int32_t contractor = BestContractor(
        pool, online, seed, [](const PoolContractor& c) { return quality::QualityMean(c.score); });
    return {contractor, LeastAnswered(pool, contractor, seed)};
  }
};

}  // namespace

std::unique_ptr<ChoicePolicy> MakeBestScorePolicy() { return std::make_unique<BestScoreChoice>(); }

}  // namespace fairlead::dispatch
