// What the demo shows at its end: the JSON object, the table with the bounds, the plot.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "scheduler/cli/demo_options.h"

namespace fairlead::cli {

// Exactly the documented keys, in their documented order. Counts, label accuracy and models are of
// the pass with models; `seconds` covers both passes.
nlohmann::ordered_json DemoJson(const DemoPass& with_models, const DemoPass& without,
                                absl::Duration total);

// One bound the demo must reach.
struct DemoBound {
  std::string what;
  std::string value;
  std::string bound;
  bool reached = false;
};
std::vector<DemoBound> CheckBounds(const DemoPass& with_models, const DemoPass& without,
                                   absl::Duration total);

// The table for people. `binding` is false with --data or --quick: bounds are shown as "not
// binding".
std::string DemoTable(const DemoPass& with_models, const DemoPass& without, absl::Duration total,
                      bool binding);

// Two panels: exact match by version, answers a task by order of submission for both passes.
absl::StatusOr<std::string> DemoPlot(const DemoPass& with_models, const DemoPass& without);

}  // namespace fairlead::cli
