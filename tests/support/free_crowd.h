// A state of the dispatcher given whole, for tests of the choice: whom there is, and what for.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "scheduler/dispatch/matching.h"
#include "scheduler/quality/score.h"

namespace fairlead::dispatch {

struct FreeContractor {
  std::string contractor;
  int credit = 1;  // Offers it can take now.
  std::vector<std::string> skills;
  double min_pay_micros = 0;
  double seconds_since_offer = 0;
  double online_share = 1;     // Share of the accounting window spent online, in [0, 1].
  double earned_recently = 0;  // Micros in that window, offers under way included.
  std::map<int, quality::ContractorScore> scores;  // By TaskKind.
};

struct Snapshot {
  std::vector<ReadyTask> tasks;  // In fair order.
  std::vector<FreeContractor> contractors;
  int64_t offer_window_ms = 60'000;
  int64_t now_ms = 0;
};

// Match() on an index that is filled for it.
std::vector<Choice> Match(const Snapshot& snapshot, const Policy& policy, uint64_t seed,
                          int max_choices);

}  // namespace fairlead::dispatch
