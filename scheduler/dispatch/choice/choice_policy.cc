#include "scheduler/dispatch/choice/choice_policy.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "scheduler/dispatch/choice/choice_rules.h"

namespace fairlead::dispatch {
namespace {

struct NamedPolicy {
  const char* name;
  std::unique_ptr<ChoicePolicy> (*make)();
};

constexpr NamedPolicy kBaselines[] = {
    {"random", MakeRandomPolicy},
    {"fifo", MakeFifoPolicy},
    {"round-robin", MakeRoundRobinPolicy},
    {"least-loaded", MakeLeastLoadedPolicy},
    {"best-score", MakeBestScorePolicy},
    {"fastest", MakeFastestPolicy},
    {"qasca", MakeQascaPolicy},
};

}  // namespace

std::vector<std::string> ChoicePolicyNames() {
  std::vector<std::string> names = {"default"};
  for (const NamedPolicy& baseline : kBaselines) names.emplace_back(baseline.name);
  return names;
}

absl::StatusOr<std::unique_ptr<ChoicePolicy>> MakeChoicePolicy(absl::string_view name,
                                                               const Policy& formula) {
  if (name == "default") return MakeDefaultPolicy(formula);
  for (const NamedPolicy& baseline : kBaselines) {
    if (name == baseline.name) return baseline.make();
  }
  return FieldError("policy", absl::StrCat("no policy \"", name, "\"; there are: ",
                                           absl::StrJoin(ChoicePolicyNames(), ", ")));
}

}  // namespace fairlead::dispatch
