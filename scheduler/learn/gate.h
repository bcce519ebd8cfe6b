// What the gate asks before anything is compared (hop 13): whether the version's file can be used
// at all, and of a project's first version, which has nobody to beat, whether it is above chance.
// Later ones are judged item by item against the champion, by paired_gate. Pure; thread-safe.
#pragma once

#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace fairlead::learn {

struct GateDecision {
  bool promote = false;
  std::string reason;  // With its numbers; stored with the version.
};

// Promoted when `metric` ("test.exact_match", larger is better) is there, finite and above `floor`:
// what a model that knows nothing would reach.
GateDecision DecideFirst(const std::map<std::string, double>& metrics, absl::string_view metric,
                         double floor);

// Promoted, without a reason, when the worker's load test passed: metric "load_test" is 1.
// Otherwise the reason says what a new process made of the file, from the metrics "load_test.*"
// (worker/load_test.h). A worker that did not test is refused too.
GateDecision DecideLoad(const std::map<std::string, double>& metrics);

}  // namespace fairlead::learn
