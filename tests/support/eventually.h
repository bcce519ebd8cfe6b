// Waits for what another process or thread brings about and tells nobody. The only sleep in the
// tests.
#pragma once

#include <functional>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace fairlead::testing {

// Asks `holds` every few milliseconds; false when it has not held within `within`.
inline bool Eventually(absl::Duration within, const std::function<bool()>& holds) {
  const absl::Time until = absl::Now() + within;
  while (!holds()) {
    if (absl::Now() > until) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

}  // namespace fairlead::testing
