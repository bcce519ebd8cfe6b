#include "scheduler/learn/gate.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace fairlead::learn {
namespace {

// 0 where there is none.
double MetricOf(const std::map<std::string, double>& metrics, absl::string_view name) {
  const auto found = metrics.find(std::string(name));
  return found == metrics.end() ? 0 : found->second;
}

}  // namespace

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

GateDecision DecideLoad(const std::map<std::string, double>& metrics) {
  if (metrics.count("load_test") == 0) {
    return {false, "refused: the worker did not test whether a new process can load the file"};
  }
  if (MetricOf(metrics, "load_test") == 1) return {true, ""};
  const auto refused = [](absl::string_view why) {
    return GateDecision{false, absl::StrCat("refused: load test: ", why)};
  };
  if (MetricOf(metrics, "load_test.timed_out") != 0) {
    return refused(absl::StrFormat("a new process was not done with the file after %.0f s",
                                   MetricOf(metrics, "load_test.seconds")));
  }
  if (MetricOf(metrics, "load_test.out_of_memory") != 0) {
    return refused("a new process took more memory than it may");
  }
  if (const double signal = MetricOf(metrics, "load_test.signal"); signal != 0) {
    return refused(absl::StrFormat("the file ended a new process by signal %.0f", signal));
  }
  if (const double code = MetricOf(metrics, "load_test.exit_code"); code != 0) {
    return refused(absl::StrFormat("a new process could not use the file, exit code %.0f", code));
  }
  return refused(absl::StrFormat("a new process reads %.0f of %.0f items differently",
                                 MetricOf(metrics, "load_test.differing"),
                                 MetricOf(metrics, "load_test.items")));
}

}  // namespace fairlead::learn
