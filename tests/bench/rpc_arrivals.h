// When new tasks come, in seconds from the start, ascending.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace fairlead::bench {

// Many independent sources together: a Poisson process of `rate` a second.
std::vector<double> PoissonArrivals(double rate, double seconds);

// As work was taken in the WMT 2022 campaign on Mechanical Turk (`folder` wmt22_mturk_hits), in
// bursts: its times, `rate` a second on the average, from its beginning and over again where it is
// too short. Several in one of its seconds are spread over that second. NOT_FOUND without the file.
absl::StatusOr<std::vector<double>> RecordedArrivals(const std::string& folder, double rate,
                                                     double seconds);

}  // namespace fairlead::bench
