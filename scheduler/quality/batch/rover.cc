#include "scheduler/quality/batch/rover.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace fairlead::quality::batch {
namespace {

constexpr int32_t kNothing = -1;

struct Choice {
  int32_t number;
  double weight;
  int voter, position;
};
using Place = std::vector<Choice>;  // Few alternatives: searched in order.

const Choice* Find(const Place& place, int32_t number) {
  for (const Choice& choice : place) {
    if (choice.number == number) return &choice;
  }
  return nullptr;
}

void Add(const Choice& vote, Place& place) {
  for (Choice& choice : place) {
    if (choice.number != vote.number) continue;
    choice.weight += vote.weight;
    return;
  }
  place.push_back(vote);
}

// Costs of aligning `words` with the network's first i places and first j words; a place costs the
// share of the weight that does not say so.
class Alignment {
 public:
  Alignment(const std::vector<Place>& network, double total, const std::vector<int32_t>& words)
      : network_(network), total_(total), words_(words), width_(words.size() + 1) {
    cost_.resize((network.size() + 1) * width_);
    for (size_t i = 0; i <= network.size(); ++i) {
      for (size_t j = 0; j <= words.size(); ++j) At(i, j) = Cheapest(i, j);
    }
  }

  bool Replaces(size_t i, size_t j) const {
    return i > 0 && j > 0 && Cost(i, j) == Cost(i - 1, j - 1) + Miss(i - 1, words_[j - 1]);
  }
  bool Skips(size_t i, size_t j) const {
    return i > 0 && Cost(i, j) == Cost(i - 1, j) + Miss(i - 1, kNothing);
  }

 private:
  double& At(size_t i, size_t j) { return cost_[i * width_ + j]; }
  double Cost(size_t i, size_t j) const { return cost_[i * width_ + j]; }
  double Miss(size_t place, int32_t number) const {
    const Choice* choice = Find(network_[place], number);
    return choice == nullptr ? 1 : 1 - choice->weight / total_;
  }
  double Cheapest(size_t i, size_t j) const {
    if (i == 0) return static_cast<double>(j);
    double cost = Cost(i - 1, j) + Miss(i - 1, kNothing);
    if (j == 0) return cost;
    cost = std::min(cost, Cost(i, j - 1) + 1);
    return std::min(cost, Cost(i - 1, j - 1) + Miss(i - 1, words_[j - 1]));
  }

  const std::vector<Place>& network_;
  const double total_;
  const std::vector<int32_t>& words_;
  const size_t width_;
  std::vector<double> cost_;
};

std::vector<Place> Join(const std::vector<Place>& network, double total,
                        const std::vector<int32_t>& words, double weight, int voter) {
  const Alignment alignment(network, total, words);
  std::vector<Place> joined;
  size_t i = network.size();
  size_t j = words.size();
  while (i > 0 || j > 0) {
    Place place;
    if (alignment.Replaces(i, j)) {
      place = network[--i];
      --j;
      Add({words[j], weight, voter, static_cast<int>(j)}, place);
    } else if (alignment.Skips(i, j)) {
      place = network[--i];
      Add({kNothing, weight, voter, 0}, place);
    } else {
      --j;
      place = {{kNothing, total, 0, 0}, {words[j], weight, voter, static_cast<int>(j)}};
    }
    joined.push_back(std::move(place));
  }
  std::reverse(joined.begin(), joined.end());
  return joined;
}

}  // namespace

std::vector<ChosenWord> VoteWords(const std::vector<std::vector<int32_t>>& texts,
                                  const std::vector<double>& weights) {
  std::vector<Place> network;
  double total = 0;
  for (size_t voter = 0; voter < texts.size(); ++voter) {
    network = Join(network, total, texts[voter], weights[voter], static_cast<int>(voter));
    total += weights[voter];
  }
  std::vector<ChosenWord> chosen;
  for (const Place& place : network) {
    const auto best =
        std::max_element(place.begin(), place.end(),
                         [](const Choice& a, const Choice& b) { return a.weight < b.weight; });
    if (best->number != kNothing) chosen.push_back({best->number, best->voter, best->position});
  }
  return chosen;
}

}  // namespace fairlead::quality::batch
