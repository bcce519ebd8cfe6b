// The four ways to a consensus; see aggregation.h for what each is for.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "scheduler/quality/ballots.h"
#include "scheduler/quality/one_coin.h"

namespace fairlead::quality {
namespace {

// preference[i][j] = weighted log-odds that response i is better than response j.
using Preference = std::vector<std::vector<double>>;

void AddOrder(const v1::Answer& answer, double weight, Preference& preference) {
  const auto& order = answer.order().best_first();
  for (int i = 0; i < order.size(); ++i) {
    for (int j = i + 1; j < order.size(); ++j) {
      preference[order[i]][order[j]] += weight;
      preference[order[j]][order[i]] -= weight;
    }
  }
}

std::vector<int> BordaOrder(const Preference& preference) {
  const size_t n = preference.size();
  std::vector<double> score(n, 0);
  for (size_t i = 0; i < n; ++i) {
    score[i] = std::accumulate(preference[i].begin(), preference[i].end(), 0.0);
  }
  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return score[a] > score[b]; });
  return order;
}

// Each swap raises Kemeny's score, which is bounded; n² rounds suffice for n responses.
void SwapNeighbours(const Preference& preference, std::vector<int>& order) {
  bool swapped = true;
  for (size_t round = 0; swapped && round < order.size() * order.size(); ++round) {
    swapped = false;
    for (size_t i = 0; i + 1 < order.size(); ++i) {
      if (preference[order[i]][order[i + 1]] < 0) {
        std::swap(order[i], order[i + 1]);
        swapped = true;
      }
    }
  }
}

}  // namespace

Consensus Panel::OneCoinConsensus(size_t skip) const {
  OneCoin coin(alternatives_);
  std::map<std::string, const v1::Answer*> answer_of;
  for (size_t i = 0; i < ballots_.size(); ++i) {
    if (i == skip) continue;
    const std::string key = AnswerKey(*ballots_[i].answer);
    coin.Add(key, ballots_[i].quality);
    answer_of.emplace(key, ballots_[i].answer);
  }
  Consensus consensus;
  consensus.answer = *answer_of.at(coin.BestKey());
  if (schema_.kind() == v1::TASK_KIND_IMAGE_TEXT) {
    consensus.answer.set_text(std::string(absl::StripAsciiWhitespace(consensus.answer.text())));
  }
  consensus.confidence = coin.BestPosterior();
  consensus.method = "one-coin/1";
  return consensus;
}

Consensus Panel::MedianConsensus(size_t skip) const {
  std::vector<std::pair<double, double>> weighted;  // Rating, weight.
  double total = 0;
  for (size_t i = 0; i < ballots_.size(); ++i) {
    if (i == skip) continue;
    weighted.emplace_back(ballots_[i].answer->rating(), ballots_[i].quality);
    total += ballots_[i].quality;
  }
  std::sort(weighted.begin(), weighted.end());
  Consensus consensus;
  double below = 0;
  for (const auto& [rating, weight] : weighted) {
    below += weight;
    consensus.answer.set_rating(rating);
    if (below >= total / 2) break;
  }
  // Those near the median support it; each other band of the range is an alternative of its own.
  OneCoin coin(alternatives_);
  const double band = (schema_.max_rating() - schema_.min_rating()) / alternatives_;
  for (size_t i = 0; i < ballots_.size(); ++i) {
    if (i == skip) continue;
    const double rating = ballots_[i].answer->rating();
    const bool near = SameAnswer(schema_, *ballots_[i].answer, consensus.answer);
    const double index = band > 0 ? std::floor((rating - schema_.min_rating()) / band) : rating;
    coin.Add(near ? "median" : std::to_string(index), ballots_[i].quality);
  }
  consensus.confidence = coin.Posterior("median");
  consensus.method = "weighted-median/1";
  return consensus;
}

Consensus Panel::RankingConsensus(size_t skip) const {
  Preference preference;
  for (size_t i = 0; i < ballots_.size(); ++i) {
    if (i == skip) continue;
    const v1::Answer& answer = *ballots_[i].answer;
    const size_t n = answer.order().best_first_size();
    if (preference.empty()) preference.assign(n, std::vector<double>(n, 0));
    AddOrder(answer, VoteLogOdds(ballots_[i].quality, alternatives_), preference);
  }
  std::vector<int> order = BordaOrder(preference);
  SwapNeighbours(preference, order);
  Consensus consensus;
  consensus.confidence = 1;
  for (size_t i = 0; i < order.size(); ++i) {
    consensus.answer.mutable_order()->add_best_first(order[i]);
    if (i == 0) continue;
    consensus.confidence /= 1 + std::exp(-preference[order[i - 1]][order[i]]);
  }
  consensus.method = "borda/1";
  return consensus;
}

Consensus Panel::MedoidConsensus(size_t skip) const {
  size_t medoid = kNone;
  double least = 0;
  for (size_t i = 0; i < ballots_.size(); ++i) {
    if (i == skip) continue;
    double cost = 0;
    for (size_t j = 0; j < ballots_.size(); ++j) {
      if (j == skip || j == i) continue;
      cost += (1 - similarity_[i][j]) / (0.02 + 1 - ballots_[j].quality);
    }
    // The reliable one of two equally central answers; ballots of humans come first.
    const bool better = medoid == kNone || cost < least ||
                        (cost == least && ballots_[i].quality > ballots_[medoid].quality);
    if (better) {
      medoid = i;
      least = cost;
    }
  }
  double agree = 0;
  double others = 0;
  double unobserved = alternatives_ - 1;
  for (size_t j = 0; j < ballots_.size(); ++j) {
    if (j == skip) continue;
    const double log_odds = VoteLogOdds(ballots_[j].quality, alternatives_);
    agree += similarity_[medoid][j] * log_odds;
    if (j == medoid) continue;
    others += std::exp((1 - similarity_[medoid][j]) * log_odds);
    unobserved -= 1;
  }
  const double against = others + std::max(unobserved, 0.0);
  Consensus consensus;
  consensus.answer = *ballots_[medoid].answer;
  consensus.confidence = 1 / (1 + against * std::exp(-agree));
  consensus.method = "medoid/1";
  return consensus;
}

}  // namespace fairlead::quality
