// Internal to aggregation: votes cleaned and put in order, and the consensus of some of them. Pure;
// thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "scheduler/quality/aggregation.h"

namespace fairlead::quality {

// A vote that counts. The model's has no contractor.
struct Ballot {
  std::string contractor;
  const v1::Answer* answer;  // Of the caller's vote, which outlives the ballot.
  double quality;            // Clamped; discounted where it is the model's.
};

// Those votes that count, by contractor, the model's last.
std::vector<Ballot> Ballots(const v1::AnswerSchema& schema, const std::vector<Vote>& votes,
                            const std::optional<ModelVote>& model);

// How far two answers agree, in [0, 1]: equality, except the share of pairs in the same order for
// RANKING and one minus the normalised edit distance for FREE_TEXT.
double Agreement(const v1::AnswerSchema& schema, const v1::Answer& a, const v1::Answer& b);

// Consensus and leave-one-out consensus of one task's ballots. FREE_TEXT distances are computed
// once. `skip` is the ballot left out, or kNone. The schema outlives the panel.
class Panel {
 public:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  Panel(const v1::AnswerSchema& schema, std::vector<Ballot> ballots);

  const std::vector<Ballot>& ballots() const { return ballots_; }
  // used_prelabel is left to the caller.
  Consensus ConsensusWithout(size_t skip) const;
  // P(this ballot's answer is right) by the other ballots alone. Not for RANKING and FREE_TEXT.
  double OthersPosterior(size_t ballot) const;
  // Agreement of two ballots.
  double AgreementOf(size_t a, size_t b) const;

 private:
  Consensus OneCoinConsensus(size_t skip) const;
  Consensus MedianConsensus(size_t skip) const;
  Consensus RankingConsensus(size_t skip) const;
  Consensus MedoidConsensus(size_t skip) const;

  const v1::AnswerSchema& schema_;
  const double alternatives_;
  const std::vector<Ballot> ballots_;
  std::vector<std::vector<double>> similarity_;  // FREE_TEXT only.
};

}  // namespace fairlead::quality
