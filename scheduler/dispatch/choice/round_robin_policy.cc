// Baseline: tasks in turn, breadth first, to whoever is online.
#include "scheduler/dispatch/choice/choice_rules.h"

namespace fairlead::dispatch {
namespace {

class RoundRobinChoice final : public ChoicePolicy {
 public:
  Pick Choose(const Pool& pool, absl::Span<const int32_t> online, uint64_t seed) const override {
    const int32_t contractor = AnyContractor(pool, online, seed);
    return {contractor, LeastAnswered(pool, contractor, seed)};
  }
};

}  // namespace

std::unique_ptr<ChoicePolicy> MakeRoundRobinPolicy() {
  return std::make_unique<RoundRobinChoice>();
}

}  // namespace fairlead::dispatch
