// The published formula by which a place of a task goes to a contractor (hop 5). Pure; thread-safe.
//
//   index = gain · urgency · (1 − fair + fair · sqrt(fair_share)) · (1 + waiting · waiting_windows)
//           · (1 + newcomer · newcomer_share) · (1 − responsiveness + responsiveness · r)
//           · (1 + floor · floor_claim) / (1 − time + time · expected_seconds^(5/8))
//
// gain is information gain × Policy.gain for a Thompson-sampled quality; the power of the seconds
// keeps the fast from taking everything, which at 1 they would; fair_share is what one is entitled
// to over what one had, and its root makes the choice α-fair with α = 1/2 (Mo, Walrand 2000): above
// one's share an offer counts less, below it more. r = min(1, P(accept) / 0.8) is flat at the top,
// so nobody gains by accepting in two seconds instead of forty. Declines enter nowhere. The weights
// were tuned by `fairlead replay` on public crowd sets; `./dev bench replay` holds the result.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "fairlead/v1/resources.pb.h"

namespace fairlead::dispatch {

struct Policy {
  std::string version = "dispatch/2";  // quality::kPolicyVersion.
  // Weights of the formula, all >= 0.
  double gain = 1;
  double fair = 0.9;            // Of the fair share, in [0, 1].
  double waiting = 0.5;         // Of each waiting window since the last offer.
  double newcomer = 0.2;        // Of having little evidence.
  double responsiveness = 0.5;  // In [0, 1].
  double floor = 1'000;         // Of a claim on a kept place: above any other difference.
  double time = 1;              // Of the expected seconds, in [0, 1].
  double urgency = 1;           // Urgency of a task at the end of its life, above 1.
  // Floors.
  double newcomer_share = 0.05;   // Share of places kept for newcomers.
  double waiting_share = 0.10;    // Share of places kept for those who wait beyond the window.
  double newcomer_evidence = 30;  // Judged answers from which one is no newcomer.
  double waiting_window_seconds = 300;
  // Expected active seconds before anything is known.
  double fallback_seconds = 20;
};

Policy DefaultPolicy();

// Every number of the policy by name, as Decision.weights carries it, and back. INVALID_ARGUMENT
// (POLICY_INCOMPLETE) names a missing one.
std::map<std::string, double> ToWeights(const Policy& policy);
absl::StatusOr<Policy> FromWeights(const std::map<std::string, double>& weights);

// Applies one "name=value" to the policy. INVALID_ARGUMENT for an unknown name, listing what there
// is, and for a value that is not a number at least 0.
absl::Status SetWeight(absl::string_view assignment, Policy& policy);

// What the formula sees of one candidate; as stored in Decision.Candidate.
struct Features {
  double information_gain = 0;  // In [0, 1].
  double expected_seconds = 1;  // Above 0.
  double fair_share = 1;        // Entitled over had, in [0, kMaxFairShare]; see standing.h.
  double waiting = 0;           // Waiting windows since the last offer, in [0, kMaxWaiting].
  double newcomer = 0;          // In [0, 1].
  double responsiveness = 1;    // In [0, 1].
  double floor_claim = 0;       // Not below 0.
};
inline constexpr double kMaxFairShare = 16;
inline constexpr double kMaxWaiting = 4;
inline constexpr double kMinGain = 0.001;

// What an answer of so many expected seconds (> 0) counts for in the formula: seconds^(5/8), by
// roots alone, which are exact to the last bit everywhere. At 1/2 a label took 0.62 of the seconds
// that it takes without the time term (cf_amt), at 5/8 it takes 0.56 and at 3/4 0.55, where the
// fast get too much: Gini 0.64 to 0.67 against 0.61 to 0.63.
double TimeCost(double expected_seconds);
// Its inverse.
double SecondsOfTimeCost(double cost);

// The formula above, and the only place of it: plain arithmetic and square roots in a fixed order,
// so equal inputs give equal bits on any IEEE 754 machine.
double Index(const Features& features, double urgency, const Policy& policy);

// What an answer of a contractor of this quality tells about a task, as a share of the most that
// one answer can tell: the mutual information of answer and truth for a symmetric channel (Lindley
// 1956), over log(alternatives). `posterior` has the probabilities of some alternatives, in any
// order; the others share what is left, so an empty one says that nothing is known. In
// [kMinGain, 1], so that the other terms still order the rest. O(size of posterior).
double InformationGain(absl::Span<const double> posterior, double alternatives, double quality);

// The number of alternatives that a task of this kind typically has; at least 2.
double TypicalAlternatives(v1::TaskKind kind);

// What a gold task tells about a contractor: the posterior's spread against that of a newcomer,
// less for each gold task in hand. Prefers newcomers by itself.
double GoldGain(double quality_sd, double newcomer_sd, int gold_open);

// The share of a contractor's answers that gold may take, once a project's gold has done its own
// work (see Dispatcher): by how uncertain his quality is, as above, from kMostGold for a newcomer
// to kLeastGold, which is left so that a change is noticed (Bragg, Mausam, Weld 2016).
inline constexpr double kMostGold = 0.3;
inline constexpr double kLeastGold = 0.02;
double GoldShare(double quality_sd, double newcomer_sd);
// Whether his next answer may be gold, after `answers` of which `gold` were gold.
bool IsDueForGold(double gold_share, int64_t gold, int64_t answers);

}  // namespace fairlead::dispatch
