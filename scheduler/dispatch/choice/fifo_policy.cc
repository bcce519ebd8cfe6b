// Baseline: depth first in order of arrival. A task gets all the answers it wants before the next
// one starts; whoever is online takes the oldest that is not finished.
#include "scheduler/dispatch/choice/choice_rules.h"

namespace fairlead::dispatch {
namespace {

class FifoChoice final : public ChoicePolicy {
 public:
  Pick Choose(const Pool& pool, absl::Span<const int32_t> online, uint64_t seed) const override {
    const int32_t contractor = AnyContractor(pool, online, seed);
    const auto finished = [&](int32_t t) { return pool.answers[t] >= pool.answers_wanted; };
    return {contractor, BestTask(pool, contractor, seed, [&](int32_t t) {
              return (finished(t) ? -1e12 * pool.answers[t] : 0.0) - t;
            })};
  }
};

}  // namespace

std::unique_ptr<ChoicePolicy> MakeFifoPolicy() { return std::make_unique<FifoChoice>(); }

}  // namespace fairlead::dispatch
