// Baseline: the contractor expected to be fastest, tasks in turn.
#include "scheduler/dispatch/choice/choice_rules.h"

namespace fairlead::dispatch {
namespace {

class FastestChoice final : public ChoicePolicy {
 public:
  Pick Choose(const Pool& pool, absl::Span<const int32_t> online, uint64_t seed) const override {
    const double fallback = DefaultPolicy().fallback_seconds;
    const int32_t contractor = BestContractor(pool, online, seed, [&](const PoolContractor& c) {
      return -quality::ExpectedSeconds(c.score, fallback);
    });
    return {contractor, LeastAnswered(pool, contractor, seed)};
  }
};

}  // namespace

std::unique_ptr<ChoicePolicy> MakeFastestPolicy() { return std::make_unique<FastestChoice>(); }

}  // namespace fairlead::dispatch
