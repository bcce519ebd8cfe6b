// Which ready task goes to which free contractor (hop 5). Pure: no clock, no I/O; the same index,
// tasks, policy and seed give the same choices.
//
// Where each bucket (free_index.h) has four times as many contractors as places, and all of them
// together, for buckets share them, twice as many, a place goes to the best index (policy.h) among
// at most 24 candidates: the best of its bucket and the longest waiting; the most urgent places
// choose first, for all are filled. Where contractors are scarcer, the places of a window are
// assigned together, so that the sum of the indices is the greatest (assignment.h): among the best
// of each bucket, as many as may be needed. Then earlier places in the caller's order of tasks are
// filled rather than later ones.
//
// Floors: a seeded share of the places is kept for newcomers and another for those who have waited
// beyond the window, wherever such a contractor is eligible. Nobody gets the same task twice, more
// offers than his credit, a task without the skills it needs, or pay below his minimum. An
// adjudicator's place goes to nobody of less than proven quality, and where a skill has to be
// proven (skill_tests.h) nobody's word is taken for it; the decision shows some of those who were
// passed over ("quality_not_proven", "skill_not_proven").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/types/span.h"
#include "fairlead/v1/resources.pb.h"
#include "scheduler/dispatch/free_index.h"
#include "scheduler/dispatch/policy.h"

namespace fairlead::dispatch {

inline constexpr int kMaxCandidates = 24;  // A place, outside windows.
inline constexpr int kMaxWindow = 1'024;   // Places that are assigned together.
inline constexpr int kMostParallel = 4;    // Offers of one place.

struct ReadyTask {
  std::string task, project;
  v1::TaskKind kind = v1::TASK_KIND_UNSPECIFIED;
  bool gold = false;
  bool paced = false;  // Gold, for those only whose next answer may be gold (policy.h).
  int priority = 0;    // The caller's order has it already.
  int64_t create_ms = 0, expire_ms = 0;
  int places = 1;    // Offers still to make.
  int overdue = 0;   // Of them, those that overdue work has until they are offered.
  int parallel = 1;  // Of one place at a time at most; see extra_offers.h.
  double pay_micros = 0;
  double alternatives = 0;  // That an answer competes with; 0: what is typical of the kind.
  double confidence = 0;    // Of the likeliest answer so far, in [0, 1]; 0: nothing is known.
  absl::flat_hash_set<std::string> excluded;  // Contractors who had it.
  std::vector<std::string> required_skills;
  // Where some of them have to be proven: those by which they are named; else empty.
  std::vector<std::string> named_skills;
  std::string excluded_skill;  // Nobody's who has it; empty: none.
  double least_quality = 0;    // Of an adjudicator, proven at this kind of work; 0: anybody's.
  double weight = 1;           // The project's; the caller's order has it already.
};

struct Choice {
  std::string task, contractor;
  v1::Decision decision;
  int over = 0, spare = 0;    // As in store::OfferTerms,
  bool from_overdue = false;  // and this.
};

// At most max_choices choices, for `tasks` in fair order; those chosen are charged in the index,
// which is refreshed first. Cost: about 24 index computations a choice, or for a window of n places
// among m contractors n · m of them and one Assign().
std::vector<Choice> Match(absl::Span<const ReadyTask> tasks, const Policy& policy, uint64_t seed,
                          int max_choices, int64_t now_ms, FreeIndex& index);

}  // namespace fairlead::dispatch
