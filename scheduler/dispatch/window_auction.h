// Internal to matching: the places of a window assigned together, where contractors are scarce. Not
// thread-safe.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "scheduler/dispatch/match_round.h"

namespace fairlead::dispatch {

// Appends the choices to `choices` and returns the places that nobody got: each contractor takes
// one place of a window at most. Of two contractors of whom one got another place of the window the
// decision says so ("matched_elsewhere"), so that it replays by itself.
std::vector<const Place*> AssignWindow(absl::Span<const Place> window, MatchRound& round,
                                       std::vector<Choice>& choices);

}  // namespace fairlead::dispatch
