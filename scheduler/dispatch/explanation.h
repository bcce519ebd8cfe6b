// Why a place went to whom: the Decision that is stored with every assignment, read by contractors
// and replayed by auditors. Pure; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fairlead/v1/resources.pb.h"
#include "scheduler/dispatch/policy.h"

namespace fairlead::dispatch {

inline constexpr int kShownCandidates = 8;

struct Candidate {
  std::string contractor;
  double quality_mean = 0;
  double quality_sampled = 0;
  Features features;
  double index = 0;
  // "answered_before", "matched_elsewhere", "quality_not_proven", "skill_not_proven"; or empty.
  std::string excluded_by;
};

// The smallest change of one feature of the runner-up that puts it in front.
struct Flip {
  std::string feature;
  double from = 0, to = 0;
};

// Of those single changes that stay within a feature's range, the one that is smallest against the
// feature's own size (or 1, if that is more); nullopt when none suffices. The result has been put
// through Index().
std::optional<Flip> SmallestFlip(const Candidate& chosen, const Candidate& runner_up,
                                 double urgency, const Policy& policy);

// `ranked` holds the eligible candidates, best first, the chosen one at its head; `excluded` those
// looked at in vain, shown where there is room. Sets neither name, assignment nor create_time.
v1::Decision Explain(const std::string& task, double urgency, const Policy& policy, uint64_t seed,
                     const std::vector<Candidate>& ranked, const std::vector<Candidate>& excluded);

// Computes every shown candidate's index anew from the stored features and weights and returns the
// contractor that the policy chooses. INVALID_ARGUMENT (POLICY_INCOMPLETE), or DATA_LOSS
// (REPLAY_MISMATCH) where an index differs in a bit or another contractor comes out than is stored.
absl::StatusOr<std::string> Replay(const v1::Decision& decision);

}  // namespace fairlead::dispatch
