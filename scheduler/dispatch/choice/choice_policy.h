// One interface for all ways to say who is asked what next: the product's own formula and the
// baselines it is measured against. A policy sees a pool of tasks and those contractors that are
// online, and names one contractor and one task. Pure: the same pool and seed give the same pick.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "scheduler/dispatch/policy.h"
#include "scheduler/dispatch/standing.h"
#include "scheduler/quality/score.h"

namespace fairlead::dispatch {

struct PoolContractor {
  quality::ContractorScore score;
  double online = 0;          // Times he was online when a choice was made.
  double answers = 0;         // Given so far.
  uint64_t hash = 0;          // Of his name: ties and samples go by it, never by his number.
  std::vector<int32_t> open;  // Tasks that he can be asked now, in any order.
};

struct Pool {
  int classes = 2;
  int answers_wanted = 1;         // A task, for policies that finish one before the next.
  std::vector<double> posterior;  // [task][class]; rows sum to one.
  std::vector<double> entropy;    // [task], of its row, natural logarithm.
  std::vector<int32_t> answers;   // [task]
  std::vector<PoolContractor> contractors;
  Totals totals;  // Answers given, times online, contractors.

  absl::Span<const double> PosteriorOf(int task) const {
    return {posterior.data() + static_cast<size_t>(task) * static_cast<size_t>(classes),
            static_cast<size_t>(classes)};
  }
};

struct Pick {
  int32_t contractor, task;
};

class ChoicePolicy {
 public:
  virtual ~ChoicePolicy() = default;
  // Among `online` (numbers of contractors, at least one, each with an open task); always finds
  // one. Thread-safe.
  virtual Pick Choose(const Pool& pool, absl::Span<const int32_t> online, uint64_t seed) const = 0;
};

// By name; INVALID_ARGUMENT listing the names. `formula` is used by "default".
absl::StatusOr<std::unique_ptr<ChoicePolicy>> MakeChoicePolicy(absl::string_view name,
                                                               const Policy& formula);
// "default" first, then the baselines.
std::vector<std::string> ChoicePolicyNames();

}  // namespace fairlead::dispatch
