#include "scheduler/dispatch/matching.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "scheduler/dispatch/explanation.h"
#include "scheduler/dispatch/match_round.h"
#include "scheduler/dispatch/window_auction.h"

namespace fairlead::dispatch {
namespace {

// So many times the places of a bucket must be free in it for each to be filled by itself, and so
// many times the places of the window in all.
constexpr size_t kPlenty = 4;
constexpr size_t kPlentyInAll = 2;
constexpr int kLongestWaiting = kMaxCandidates / 3;

// Fills places one by one.
class Picker {
 public:
  explicit Picker(MatchRound& round) : round_(round) {}

  // False where nobody is eligible.
  bool Fill(const Place& place, std::vector<Choice>& choices) {
    gathered_.clear();
    refused_.clear();
    RankBucket& ranks = place.bucket->ranks;
    const bool newcomers_first = place.task->gold || place.floor == Floor::kNewcomer;
    if (newcomers_first) Gather(place, ranks.Best(/*newcomers_only=*/true), kMaxCandidates / 4);
    Gather(place, ranks.LongestWaiting(), kLongestWaiting);
    Gather(place, ranks.Best(/*newcomers_only=*/false),
           kMaxCandidates - static_cast<int>(gathered_.size()));
    if (gathered_.empty()) return false;
    ranked_.clear();
    ranked_.reserve(gathered_.size());
    for (const Slot slot : gathered_) ranked_.push_back(round_.Weigh(place, slot));
    choices.push_back(round_.Decide(place, ranked_, refused_, ranked_.size() + refused_.size()));
    round_.Charge(place, ranked_.front().slot);
    return true;
  }

 private:
  void Gather(const Place& place, RankBucket::Walk walk, int wanted) {
    const auto has = [](const std::vector<Slot>& slots, size_t first, Slot slot) {
      const auto end = slots.begin() + static_cast<std::ptrdiff_t>(first);
      return std::find(slots.begin(), end, slot) != end;
    };
    const size_t before = gathered_.size();  // A walk passes nobody twice.
    const std::vector<Slot>& given = round_.Given(place);
    for (Slot slot = walk.Next(); slot != kNoSlot && wanted > 0; slot = walk.Next()) {
      if (!round_.index().Present(slot, round_.now_ms()) || has(given, given.size(), slot) ||
          has(gathered_, before, slot) || !round_.Takes(place, slot)) {
        continue;
      }
      if (round_.Had(place, slot)) {
        if (refused_.size() < kShownCandidates) {
          refused_.push_back(round_.Refused(slot, "answered_before"));
        }
        continue;
      }
      gathered_.push_back(slot);
      --wanted;
    }
  }

  MatchRound& round_;
  std::vector<Slot> gathered_;
  std::vector<Ranked> ranked_;
  std::vector<Candidate> refused_;
};

bool Scarce(absl::Span<const Place> window, const FreeIndex& index) {
  // Buckets share their contractors.
  if (index.free() < kPlentyInAll * window.size()) return true;
  absl::flat_hash_map<const FreeIndex::Bucket*, size_t> places;
  for (const Place& place : window) ++places[place.bucket];
  return std::any_of(places.begin(), places.end(), [](const auto& bucket) {
    // What is paced may as well wait: few are due for it at any time.
    return !bucket.first->key.paced && bucket.first->ranks.size() < kPlenty * bucket.second;
  });
}

}  // namespace

std::vector<Choice> Match(absl::Span<const ReadyTask> tasks, const Policy& policy, uint64_t seed,
                          int max_choices, int64_t now_ms, FreeIndex& index) {
  MatchRound round(tasks, policy, seed, now_ms, index);
  Picker picker(round);
  std::vector<Choice> choices;
  const absl::Span<const Place> places = round.places();
  size_t next = 0;
  while (next < places.size() && index.free() > 0) {
    const size_t wanted = static_cast<size_t>(max_choices) - choices.size();
    const size_t size = std::min({places.size() - next, wanted, size_t{kMaxWindow}});
    if (size == 0) break;
    const absl::Span<const Place> window = places.subspan(next, size);
    next += size;
    if (Scarce(window, index)) {
      // Who is wanted twice, for he has credit for it, is left to the second look.
      for (const Place* place : AssignWindow(window, round, choices)) picker.Fill(*place, choices);
      continue;
    }
    std::vector<const Place*> by_urgency;
    by_urgency.reserve(window.size());
    for (const Place& place : window) by_urgency.push_back(&place);
    std::stable_sort(by_urgency.begin(), by_urgency.end(),
                     [](const Place* a, const Place* b) { return a->urgency > b->urgency; });
    for (const Place* place : by_urgency) picker.Fill(*place, choices);
  }
  return choices;
}

}  // namespace fairlead::dispatch
