#include "scheduler/dispatch/window_auction.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "scheduler/dispatch/assignment.h"

namespace fairlead::dispatch {
namespace {

constexpr size_t kSpare = 16;     // For those who may not have some of the places.
constexpr size_t kMostTaken = 3;  // Shown of those who got another place.

// What a bucket's places ask for together.
struct Demand {
  size_t places = 0, newcomer_floors = 0, waiting_floors = 0;
};

class Window {
 public:
  Window(absl::Span<const Place> places, MatchRound& round)
      : places_(places), round_(round), values_(0, 0) {
    std::vector<std::pair<FreeIndex::Bucket*, Demand>> demands;  // In order of first need.
    for (const Place& place : places_) {
      auto it = std::find_if(demands.begin(), demands.end(),
                             [&](const auto& d) { return d.first == place.bucket; });
      if (it == demands.end()) it = demands.insert(demands.end(), {place.bucket, Demand()});
      Demand& demand = it->second;
      ++demand.places;
      demand.newcomer_floors += place.floor == Floor::kNewcomer ? 1 : 0;
      demand.waiting_floors += place.floor == Floor::kWaiting ? 1 : 0;
    }
    for (const auto& [bucket, demand] : demands) Gather(*bucket, demand);
    for (const auto& [bucket, demand] : demands) Weigh(*bucket);
    values_ = PairValues(places_.size(), columns_.size());
    for (size_t row = 0; row < places_.size(); ++row) Fill(row);
  }

  std::vector<const Place*> Choose(std::vector<Choice>& choices) {
    assigned_ = Assign(values_);
    row_of_.assign(columns_.size(), kUnassigned);
    for (size_t row = 0; row < places_.size(); ++row) {
      if (assigned_[row] != kUnassigned) {
        row_of_[static_cast<size_t>(assigned_[row])] = static_cast<int>(row);
      }
    }
    std::vector<const Place*> left;
    std::vector<std::pair<const Place*, Slot>> given;
    for (size_t row = 0; row < places_.size(); ++row) {
      if (assigned_[row] == kUnassigned) {
        left.push_back(&places_[row]);
      } else {
        given.emplace_back(&places_[row], Conclude(row, choices));
      }
    }
    // Charged last, so that every decision shows what the window was assigned by.
    for (const auto& [place, slot] : given) round_.Charge(*place, slot);
    return left;
  }

 private:
  void Gather(FreeIndex::Bucket& bucket, const Demand& demand) {
    // The window's other places take at most as many of a bucket's best as there are of them; where
    // there are contractors enough, hardly ever more than its own do.
    const size_t others = places_.size() - demand.places;
    const bool scarce = round_.index().free() < 3 * places_.size();
    Take(bucket.ranks.Best(/*newcomers_only=*/false),
         demand.places + (scarce ? others : std::min(others, demand.places + kSpare)) + kSpare);
    if (demand.newcomer_floors > 0) {
      Take(bucket.ranks.Best(/*newcomers_only=*/true), demand.newcomer_floors + kSpare);
    }
    if (demand.waiting_floors > 0) {
      Take(bucket.ranks.LongestWaiting(), demand.waiting_floors + kSpare);
    }
  }

  void Take(RankBucket::Walk walk, size_t wanted) {
    FreeIndex& index = round_.index();
    for (Slot slot = walk.Next(); slot != kNoSlot && wanted > 0; slot = walk.Next()) {
      if (!index.Present(slot, round_.now_ms())) continue;
      if (column_of_.try_emplace(slot, columns_.size()).second) columns_.push_back(slot);
      --wanted;
    }
  }

  void Fill(size_t row) {
    const Place& place = places_[row];
    const std::vector<double>& base = bases_.at(place.bucket);
    double* values = values_[row];
    for (size_t column = 0; column < columns_.size(); ++column) {
      const Slot slot = columns_[column];
      if (base[column] < 0 || !round_.Takes(place, slot)) continue;
      values[column] = base[column] * round_.Factor(place, slot);
    }
    const auto forbid = [&](Slot slot) {
      const auto found = column_of_.find(slot);
      if (found != column_of_.end()) values[found->second] = -1;
    };
    for (const std::string& name : place.task->excluded) forbid(round_.index().Find(name));
    for (const Slot slot : round_.Given(place)) forbid(slot);
  }

  void Weigh(FreeIndex::Bucket& bucket) {
    std::vector<double>& base = bases_[&bucket];
    base.assign(columns_.size(), -1);
    for (size_t column = 0; column < columns_.size(); ++column) {
      if (!FreeIndex::In(bucket, columns_[column])) continue;
      base[column] = round_.BaseIndex(bucket, columns_[column]);
    }
  }

  // The best of those who got nothing (and of the chosen one) stand behind the choice; by exact
  // arithmetic one of them may be ahead by a hair, and is taken then. Better ones who got another
  // place are shown as refused.
  Slot Conclude(size_t row, std::vector<Choice>& choices) {
    const Place& place = places_[row];
    const double* values = values_[row];
    const auto mine = static_cast<size_t>(assigned_[row]);
    std::vector<size_t> candidates, taken;
    size_t considered = 0;
    for (size_t column = 0; column < columns_.size(); ++column) {
      if (values[column] < 0) continue;
      ++considered;
      if (row_of_[column] == kUnassigned || column == mine) {
        candidates.push_back(column);
      } else if (values[column] > values[mine]) {
        taken.push_back(column);
      }
    }
    const auto better = [&](size_t a, size_t b) { return values[a] > values[b]; };
    const auto keep = [&](std::vector<size_t>& list, size_t most) {
      const size_t kept = std::min(list.size(), most);
      std::partial_sort(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(kept), list.end(),
                        better);
      list.resize(kept);
    };
    keep(taken, kMostTaken);
    keep(candidates, kShownCandidates - taken.size());
    std::vector<Ranked> ranked;
    ranked.reserve(candidates.size());
    for (const size_t column : candidates) ranked.push_back(round_.Weigh(place, columns_[column]));
    std::vector<Candidate> refused;
    refused.reserve(taken.size());
    for (const size_t column : taken) {
      Candidate one = round_.Shown(place, round_.Weigh(place, columns_[column]));
      one.excluded_by = "matched_elsewhere";
      refused.push_back(std::move(one));
    }
    choices.push_back(round_.Decide(place, ranked, refused, considered));
    // A hair's difference may have changed who it is; whoever was let go may be had by others.
    const Slot chosen = ranked.front().slot;
    row_of_[mine] = kUnassigned;
    row_of_[column_of_.at(chosen)] = static_cast<int>(row);
    return chosen;
  }

  const absl::Span<const Place> places_;
  MatchRound& round_;
  std::vector<Slot> columns_;
  absl::flat_hash_map<Slot, size_t> column_of_;
  absl::flat_hash_map<FreeIndex::Bucket*, std::vector<double>> bases_;  // By column.
  PairValues values_;
  std::vector<int> assigned_, row_of_;
};

}  // namespace

std::vector<const Place*> AssignWindow(absl::Span<const Place> window, MatchRound& round,
                                       std::vector<Choice>& choices) {
  return Window(window, round).Choose(choices);
}

}  // namespace fairlead::dispatch
