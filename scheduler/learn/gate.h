// Whether a trained model replaces the champion (hop 13). Pure; thread-safe.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace fairlead::learn {

struct GateInput {
  std::map<std::string, double> challenger, champion;  // "test.exact_match", "test.count", ….
  bool has_champion = false;
  std::string metric;                       // What decides; larger is better.
  std::string count_metric = "test.count";  // Number of items behind `metric`.
  double floor = 0;                         // The first version must be above it.
  double min_z = 0;                         // Standard errors the gain must exceed; 0: any gain.
  // Metrics by which the challenger must not be worse by more than noise.
  std::vector<std::string> guards;
  // Right or wrong on the same frozen items in the same order; both or none.
  std::vector<bool> challenger_right, champion_right;
};

struct GateDecision {
  bool promote = false;
  std::string reason;  // With its numbers; stored with the version.
};

// The first version is promoted when its metric is finite and above the floor. A later one must
// have the better point estimate, by more than min_z standard errors (paired on the frozen items:
// McNemar; else of two proportions, where the counts are known; where neither is known and min_z >
// 0, refused), and no guard may fall by more than 1.645 standard errors of two proportions. Missing
// or non-finite metrics refuse.
GateDecision DecidePromotion(const GateInput& input);

}  // namespace fairlead::learn
