#include "scheduler/quality/aggregation.h"

#include <algorithm>
#include <utility>

#include "scheduler/quality/ballots.h"
#include "scheduler/quality/one_coin.h"

namespace fairlead::quality {
namespace {

// A voter's standing tempers the verdict on him only so far: a famous name that turns careless has
// to sink within a few tasks.
constexpr double kMaxStanding = 0.95;

store::v1::Evidence EvidenceOf(const std::string& contractor, double right, double weight,
                               bool gold) {
  store::v1::Evidence evidence;
  evidence.set_contractor(contractor);
  evidence.set_right(std::clamp(right, 0.0, 1.0));
  evidence.set_weight(std::clamp(weight, 0.0, 1.0));
  evidence.set_gold(gold);
  return evidence;
}

double RightByOthers(const v1::AnswerSchema& schema, const Panel& panel, size_t ballot,
                     const Consensus& others) {
  const Ballot& own = panel.ballots()[ballot];
  if (schema.kind() == v1::TASK_KIND_RANKING || schema.kind() == v1::TASK_KIND_FREE_TEXT) {
    return Agreement(schema, *own.answer, others.answer);
  }
  return RightProbability(panel.OthersPosterior(ballot), std::min(own.quality, kMaxStanding),
                          Alternatives(schema));
}

}  // namespace

Consensus Aggregate(const v1::AnswerSchema& schema, const std::vector<Vote>& votes,
                    const std::optional<ModelVote>& model) {
  const Panel panel(schema, Ballots(schema, votes, model));
  Consensus consensus = panel.ConsensusWithout(Panel::kNone);
  const auto& ballots = panel.ballots();
  consensus.used_prelabel =
      model.has_value() && !ballots.empty() && ballots.back().answer == &model->answer;
  return consensus;
}

std::vector<store::v1::Evidence> Judge(const v1::AnswerSchema& schema,
                                       const std::vector<Vote>& votes,
                                       const std::optional<ModelVote>& model,
                                       const v1::Answer* gold) {
  std::vector<store::v1::Evidence> verdicts;
  if (gold != nullptr) {
    for (const Ballot& ballot : Ballots(schema, votes, std::nullopt)) {
      verdicts.push_back(EvidenceOf(ballot.contractor, Agreement(schema, *ballot.answer, *gold),
                                    /*weight=*/1, /*gold=*/true));
    }
    return verdicts;
  }
  const Panel panel(schema, Ballots(schema, votes, model));
  const size_t humans =
      panel.ballots().size() - (model.has_value() && !panel.ballots().empty() &&
                                        panel.ballots().back().answer == &model->answer
                                    ? 1
                                    : 0);
  const double chance = 1 / Alternatives(schema);
  for (size_t i = 0; i < humans && panel.ballots().size() > 1; ++i) {
    const Consensus others = panel.ConsensusWithout(i);
    const double weight = (others.confidence - chance) / (1 - chance);
    if (!(weight > 0)) continue;
    verdicts.push_back(EvidenceOf(panel.ballots()[i].contractor,
                                  RightByOthers(schema, panel, i, others), weight,
                                  /*gold=*/false));
  }
  return verdicts;
}

}  // namespace fairlead::quality
