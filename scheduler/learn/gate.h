// Whether a project's first version serves (hop 13): there is nobody to beat, only chance. Later
// ones are judged item by item against the champion, by paired_gate. Pure; thread-safe.
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

}  // namespace fairlead::learn
