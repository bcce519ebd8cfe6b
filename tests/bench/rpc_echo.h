// What gRPC alone does on this machine: a Work stream whose server answers every message with one
// of an assignment's size, and does nothing else.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace fairlead::bench {

// Serves until the process gets SIGTERM; returns the exit code. Run it in a process of its own.
int ServeEcho(const std::string& address);

// Messages there and back a second, over so many streams that each have one under way.
absl::StatusOr<double> MeasureEcho(const std::string& address, int connections, int streams,
                                   absl::Duration duration);

}  // namespace fairlead::bench
