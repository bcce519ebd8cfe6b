// Runs another program to its end, within limits, and says how it ended. POSIX only. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace fairlead {

// The path of the program `name` in the directory of this one. FAILED_PRECONDITION when it is not
// there or cannot be run; the message gives the path.
absl::StatusOr<std::string> ProgramBeside(absl::string_view name);

struct ProgramLimits {
  absl::Duration time = absl::Minutes(2);  // By the clock; then it is killed.
  // Resident, mapped files left out; looked at twenty times a second and killed beyond.
  int64_t memory_bytes = int64_t{4} << 30;
};

struct ProgramEnd {
  int exit_code = 0;
  int signal = 0;                                 // That ended it; 0 when it ended by itself.
  bool timed_out = false, out_of_memory = false;  // Killed for a limit.
  std::string said;  // The last 2 KiB of its standard output and error.
};

// Runs `argv` (the program's path first) with nothing on standard input, in a process group of its
// own: a signal from the terminal reaches this process only. `check` is asked as often;
// when it is not OK the program is killed and its status returned. UNAVAILABLE when the program
// cannot be started. Should this process be killed, the program is ended by its limit of processor
// time, the time limit on every core.
absl::StatusOr<ProgramEnd> RunProgram(const std::vector<std::string>& argv,
                                      const ProgramLimits& limits,
                                      const std::function<absl::Status()>& check);

}  // namespace fairlead
