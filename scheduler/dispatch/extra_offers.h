// Offers beyond the places that a task wants: several of one place, where whoever is asked may not
// come, and one beside work that takes too long. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/types/span.h"
#include "scheduler/dispatch/matching.h"
#include "scheduler/dispatch/task_view.h"

namespace fairlead::dispatch {

// P(somebody accepts) from which no more offers of a place are made.
inline constexpr double kLikelyAccepted = 0.95;

// P(this contractor accepts a task of this project within its window), in [0, 1].
using AcceptChance = std::function<double(const std::string& contractor, const ReadyTask& task)>;
// Choices for these tasks among who is left; see Match().
using MatchMore = std::function<std::vector<Choice>(absl::Span<const ReadyTask> tasks)>;

// Adds to `choices`, which are for `tasks`, those that make each place of a task with
// ReadyTask.parallel > 1 likely to be accepted: until 1 − Π(1 − p) reaches kLikelyAccepted or as
// many offers of the place are out as `parallel` says. All offers of such a place say that they are
// parallel. At most `parallel` − 1 calls of `match`.
void AddParallelOffers(absl::Span<const ReadyTask> tasks, const AcceptChance& chance,
                       const MatchMore& match, std::vector<Choice>& choices);

// When accepted work counts as slow: seconds after which its contractor is done in nineteen of
// twenty cases, or +infinity where that is not known.
using SlowSecondsOf = std::function<double(const std::string& contractor)>;

// Whether somebody else is to be asked beside those who work at the task: all its places are taken,
// one of them by slow work, and nobody who was offered a place since then has it. Not of gold,
// which waits for nobody. An unknown pace counts as slow after half of the work window. O(places).
bool WantsDuplicate(const LiveTask& task, const SlowSecondsOf& slow, int64_t now_ms);

}  // namespace fairlead::dispatch
