#include "tests/support/free_crowd.h"

#include <cmath>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "scheduler/dispatch/free_index.h"

namespace fairlead::dispatch {

std::vector<Choice> Match(const Snapshot& snapshot, const Policy& policy, uint64_t seed,
                          int max_choices) {
  absl::flat_hash_map<absl::string_view, const FreeContractor*> by_name;
  for (const FreeContractor& contractor : snapshot.contractors) {
    by_name[contractor.contractor] = &contractor;
  }
  const auto scores = [&](absl::string_view name, v1::TaskKind kind) {
    const auto& known = by_name.at(name)->scores;
    const auto found = known.find(kind);
    return found == known.end() ? quality::ContractorScore() : found->second;
  };
  FreeIndex index(policy, seed, snapshot.offer_window_ms, scores);
  constexpr double kAccountWindowMs = 600'000;
  for (const FreeContractor& contractor : snapshot.contractors) {
    Availability there;
    there.credit = contractor.credit;
    there.last_offer_ms = snapshot.now_ms - std::llround(contractor.seconds_since_offer * 1000);
    there.since_ms = snapshot.now_ms - std::llround(contractor.online_share * kAccountWindowMs);
    there.until_ms = snapshot.now_ms;
    there.min_pay_micros = contractor.min_pay_micros;
    there.skills = contractor.skills;
    index.Put(contractor.contractor, there, snapshot.now_ms);
    index.SetEarned(contractor.contractor, contractor.earned_recently, snapshot.now_ms);
  }
  return Match(snapshot.tasks, policy, seed, max_choices, snapshot.now_ms, index);
}

}  // namespace fairlead::dispatch
