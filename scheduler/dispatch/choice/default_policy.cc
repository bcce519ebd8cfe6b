// The product's choice: the published formula (policy.h) over every pair of a contractor online and
// a task of his. The dispatcher evaluates candidates by the same functions.
#include <cmath>

#include "scheduler/dispatch/choice/choice_rules.h"

namespace fairlead::dispatch {
namespace {

// Replayed time does not pass, so nobody waits and everybody accepts.
constexpr double kOfferWindowSeconds = 60;

class DefaultPolicyChoice final : public ChoicePolicy {
 public:
  explicit DefaultPolicyChoice(const Policy& formula) : formula_(formula) {}

  Pick Choose(const Pool& pool, absl::Span<const int32_t> online, uint64_t seed) const override {
    Pick best{-1, -1};
    double best_index = 0;
    for (const int32_t c : online) {
      const PoolContractor& contractor = pool.contractors[c];
      const Standing standing = StandingOf(contractor.score, kOfferWindowSeconds, formula_);
      const uint64_t draw = quality::MixSeeds(seed, contractor.hash);
      Features features;
      features.expected_seconds = standing.expected_seconds;
      features.fair_share = FairShare(contractor.answers, contractor.online, pool.totals);
      features.newcomer = standing.newcomer;
      // Within one contractor the index rises with the gain alone.
      const auto [task, gain] = BestGain(pool, contractor, SampleQuality(standing, draw), draw);
      features.information_gain = gain;
      const double index = Index(features, /*urgency=*/1, formula_);
      if (best.task >= 0 && index <= best_index) continue;
      best = {c, task};
      best_index = index;
    }
    return best;
  }

 private:
  // An answer cannot tell more than is open: tasks whose entropy is below the best gain so far are
  // passed over, and those without answers share one gain.
  static std::pair<int32_t, double> BestGain(const Pool& pool, const PoolContractor& contractor,
                                             double sampled, uint64_t draw) {
    const double scale = std::log(std::max(pool.classes, 2));
    const double untouched = InformationGain({}, pool.classes, sampled);
    int32_t best = -1;
    double best_gain = 0;
    uint64_t best_tie = 0;
    for (const int32_t task : contractor.open) {
      if (best >= 0 && pool.entropy[task] < best_gain * scale && best_gain > kMinGain) continue;
      const double gain = pool.answers[task] == 0
                              ? untouched
                              : InformationGain(pool.PosteriorOf(task), pool.classes, sampled);
      if (best >= 0 && gain < best_gain) continue;
      const uint64_t tie = quality::MixSeeds(draw, static_cast<uint64_t>(task));
      if (best >= 0 && gain == best_gain && tie <= best_tie) continue;
      best = task;
      best_gain = gain;
      best_tie = tie;
    }
    return {best, best_gain};
  }

  const Policy formula_;
};

}  // namespace

std::unique_ptr<ChoicePolicy> MakeDefaultPolicy(const Policy& formula) {
  return std::make_unique<DefaultPolicyChoice>(formula);
}

}  // namespace fairlead::dispatch
