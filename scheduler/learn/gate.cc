#include "scheduler/learn/gate.h"

#include <cmath>

#include "absl/strings/str_format.h"

namespace fairlead::learn {

GateDecision DecideFirst(const std::map<std::string, double>& metrics, absl::string_view metric,
                         double floor) {
  const auto found = metrics.find(std::string(metric));
  if (found == metrics.end() || !std::isfinite(found->second)) {
    return {false, absl::StrFormat("refused: %s is missing or not finite", metric)};
  }
  const bool promote = found->second > floor;
  return {promote, absl::StrFormat("%s: first version, %s %.4f, above %.2f needed",
                                   promote ? "promoted" : "refused", metric, found->second, floor)};
}

}  // namespace fairlead::learn
