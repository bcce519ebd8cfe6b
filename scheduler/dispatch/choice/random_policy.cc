// Baseline: any contractor, any task.
#include "scheduler/dispatch/choice/choice_rules.h"

namespace fairlead::dispatch {
namespace {

class RandomChoice final : public ChoicePolicy {
 public:
  Pick Choose(const Pool& pool, absl::Span<const int32_t> online, uint64_t seed) const override {
    const int32_t contractor = AnyContractor(pool, online, seed);
    return {contractor, BestTask(pool, contractor, seed, [](int32_t) { return 0.0; })};
  }
};

}  // namespace

std::unique_ptr<ChoicePolicy> MakeRandomPolicy() { return std::make_unique<RandomChoice>(); }

}  // namespace fairlead::dispatch
