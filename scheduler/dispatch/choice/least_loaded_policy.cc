// Baseline: the contractor with the fewest answers so far, tasks in turn.
#include "scheduler/dispatch/choice/choice_rules.h"

namespace fairlead::dispatch {
namespace {

class LeastLoadedChoice final : public ChoicePolicy {
 public:
  Pick Choose(const Pool& pool, absl::Span<const int32_t> online, uint64_t seed) const override {
    const int32_t contractor =
        BestContractor(pool, online, seed, [](const PoolContractor& c) { return -c.answers; });
    return {contractor, LeastAnswered(pool, contractor, seed)};
  }
};

}  // namespace

std::unique_ptr<ChoicePolicy> MakeLeastLoadedPolicy() {
  return std::make_unique<LeastLoadedChoice>();
}

}  // namespace fairlead::dispatch
