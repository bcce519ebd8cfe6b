#include "scheduler/quality/ballots.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "scheduler/quality/edit_distance.h"
#include "scheduler/quality/one_coin.h"

namespace fairlead::quality {
namespace {

bool IsOrder(const v1::Answer& answer) {
  std::set<int> seen(answer.order().best_first().begin(), answer.order().best_first().end());
  const int n = answer.order().best_first_size();
  return n > 0 && static_cast<int>(seen.size()) == n && *seen.begin() == 0 &&
         *seen.rbegin() == n - 1;
}

// Votes on different numbers of responses cannot be of one task; the commonest number wins.
void KeepCommonestLength(std::vector<Ballot>& ballots) {
  std::map<int, int> count;
  for (const Ballot& b : ballots) ++count[b.answer->order().best_first_size()];
  int length = 0;
  int most = 0;
  for (const auto& [n, times] : count) {
    if (times >= most) {
      length = n;
      most = times;
    }
  }
  std::erase_if(
      ballots, [length](const Ballot& b) { return b.answer->order().best_first_size() != length; });
}

std::vector<int> Positions(const v1::Answer& answer) {
  std::vector<int> position(answer.order().best_first_size());
  for (int i = 0; i < answer.order().best_first_size(); ++i) {
    position[answer.order().best_first(i)] = i;
  }
  return position;
}

double OrderAgreement(const v1::Answer& a, const v1::Answer& b) {
  if (!IsOrder(a) || !IsOrder(b)) return 0;
  const std::vector<int> x = Positions(a);
  const std::vector<int> y = Positions(b);
  if (x.size() != y.size()) return 0;
  if (x.size() < 2) return 1;
  int same = 0;
  int pairs = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    for (size_t j = i + 1; j < x.size(); ++j) {
      ++pairs;
      if ((x[i] < x[j]) == (y[i] < y[j])) ++same;
    }
  }
  return static_cast<double>(same) / pairs;
}

double TextSimilarity(const std::string& a, const std::string& b, bool by_words) {
  return 1 - NormalisedEditDistance(Symbols(a, by_words), Symbols(b, by_words));
}

}  // namespace

std::vector<Ballot> Ballots(const v1::AnswerSchema& schema, const std::vector<Vote>& votes,
                            const std::optional<ModelVote>& model) {
  const double alternatives = Alternatives(schema);
  const bool ranking = schema.kind() == v1::TASK_KIND_RANKING;
  const auto counts = [&](const v1::Answer& answer) {
    return MatchesKind(schema.kind(), answer) && (!ranking || IsOrder(answer));
  };
  std::vector<Ballot> ballots;
  for (const Vote& vote : votes) {
    if (!counts(vote.answer)) continue;
    ballots.push_back({vote.contractor, &vote.answer, ClampedQuality(vote.quality, alternatives)});
  }
  std::stable_sort(ballots.begin(), ballots.end(),
                   [](const Ballot& a, const Ballot& b) { return a.contractor < b.contractor; });
  const auto same = [](const Ballot& a, const Ballot& b) { return a.contractor == b.contractor; };
  ballots.erase(std::unique(ballots.begin(), ballots.end(), same), ballots.end());
  if (model.has_value() && counts(model->answer)) {
    ballots.push_back({"", &model->answer, ModelQuality(model->confidence, alternatives)});
  }
  if (ranking) KeepCommonestLength(ballots);
  return ballots;
}

double Agreement(const v1::AnswerSchema& schema, const v1::Answer& a, const v1::Answer& b) {
  if (a.value_case() != b.value_case()) return 0;
  if (schema.kind() == v1::TASK_KIND_RANKING) return OrderAgreement(a, b);
  if (schema.kind() != v1::TASK_KIND_FREE_TEXT) return SameAnswer(schema, a, b) ? 1 : 0;
  const std::string x = AnswerKey(a);
  const std::string y = AnswerKey(b);
  return TextSimilarity(x, y, std::max(x.size(), y.size()) > kMaxSymbols);
}

Panel::Panel(const v1::AnswerSchema& schema, std::vector<Ballot> ballots)
    : schema_(schema), alternatives_(Alternatives(schema)), ballots_(std::move(ballots)) {
  if (schema.kind() != v1::TASK_KIND_FREE_TEXT) return;
  std::vector<std::string> keys;
  bool by_words = false;
  for (const Ballot& b : ballots_) {
    keys.push_back(AnswerKey(*b.answer));
    by_words = by_words || keys.back().size() > kMaxSymbols;
  }
  similarity_.assign(keys.size(), std::vector<double>(keys.size(), 1));
  for (size_t i = 0; i < keys.size(); ++i) {
    for (size_t j = i + 1; j < keys.size(); ++j) {
      similarity_[i][j] = similarity_[j][i] = TextSimilarity(keys[i], keys[j], by_words);
    }
  }
}

double Panel::AgreementOf(size_t a, size_t b) const {
  if (!similarity_.empty()) return similarity_[a][b];
  return Agreement(schema_, *ballots_[a].answer, *ballots_[b].answer);
}

double Panel::OthersPosterior(size_t ballot) const {
  if (schema_.kind() == v1::TASK_KIND_RATING) {
    const Consensus others = ConsensusWithout(ballot);
    const bool same = SameAnswer(schema_, others.answer, *ballots_[ballot].answer);
    return same ? others.confidence : (1 - others.confidence) / (alternatives_ - 1);
  }
  OneCoin coin(alternatives_);
  for (size_t i = 0; i < ballots_.size(); ++i) {
    if (i != ballot) coin.Add(AnswerKey(*ballots_[i].answer), ballots_[i].quality);
  }
  return coin.Posterior(AnswerKey(*ballots_[ballot].answer));
}

Consensus Panel::ConsensusWithout(size_t skip) const {
  if (ballots_.size() == (skip == kNone ? 0 : 1)) return {};
  switch (schema_.kind()) {
    case v1::TASK_KIND_RATING:
      return MedianConsensus(skip);
    case v1::TASK_KIND_RANKING:
      return RankingConsensus(skip);
    case v1::TASK_KIND_FREE_TEXT:
      return MedoidConsensus(skip);
    default:
      return OneCoinConsensus(skip);
  }
}

}  // namespace fairlead::quality
