// The one-coin model of answering: a voter is right with probability p and otherwise picks one of
// the K − 1 wrong alternatives evenly; no alternative is likelier beforehand. A learned class prior
// is left out on purpose: with few answers a task it runs away to one class. Pure; thread-safe.
#pragma once

#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace fairlead::quality {

// p kept within [1/K + 0.01, 0.98]: nobody is worse than guessing and nobody is beyond doubt.
// Not a number counts as 1/K + 0.01.
double ClampedQuality(double p, double alternatives);

// What a model's calibrated confidence is worth as a vote. Its errors correlate with those of the
// contractors it learned from, so its log-odds are taken by 0.8 and p is kept at 0.97 at most.
double ModelQuality(double confidence, double alternatives);

// log(p (K − 1) / (1 − p)), the weight of a vote with clamped p.
double VoteLogOdds(double p, double alternatives);

// Accumulates votes by answer key. Add in a fixed order: sums of doubles depend on it.
class OneCoin {
 public:
  explicit OneCoin(double alternatives) : alternatives_(alternatives) {}

  void Add(absl::string_view key, double clamped_quality);

  // P(key is right | votes). A key that nobody chose has one unobserved alternative's share.
  double Posterior(absl::string_view key) const;
  // The largest posterior of any alternative, and its key; ties go to the key with more votes, then
  // to the smaller key. Without votes: "" and 1/K.
  double BestPosterior() const;
  std::string BestKey() const;

  double alternatives() const;

 private:
  struct Tally {
    double log_odds = 0;
    int votes = 0;
  };
  double LogTotal() const;

  double alternatives_;
  std::map<std::string, Tally> tallies_;
};

// P(an answer is right), given that the others find it right with `posterior` and its voter is
// right with prior probability `prior`: the E step of the one-coin model.
double RightProbability(double posterior, double prior, double alternatives);

}  // namespace fairlead::quality
