#include "scheduler/dispatch/extra_offers.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace fairlead::dispatch {
namespace {

using store::v1::Placement;

// A place that was chosen for, and the chance that nobody comes.
struct Covered {
  size_t task = 0;  // Of the span.
  double nobody = 1;
  std::vector<size_t> choices;
};

bool IsLive(const Placement& place) {
  return place.state() == Placement::OFFERED || place.state() == Placement::ACCEPTED;
}

std::vector<Covered> PlacesOf(absl::Span<const ReadyTask> tasks, const AcceptChance& chance,
                              const std::vector<Choice>& choices) {
  absl::flat_hash_map<std::string, size_t> by_id;
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (tasks[i].parallel > 1) by_id[tasks[i].task] = i;
  }
  std::vector<Covered> places;
  if (by_id.empty()) return places;
  for (size_t i = 0; i < choices.size(); ++i) {
    const auto found = by_id.find(choices[i].task);
    if (found == by_id.end()) continue;
    places.push_back({found->second, 1 - chance(choices[i].contractor, tasks[found->second]), {i}});
  }
  return places;
}

}  // namespace

void AddParallelOffers(absl::Span<const ReadyTask> tasks, const AcceptChance& chance,
                       const MatchMore& match, std::vector<Choice>& choices) {
  std::vector<Covered> places = PlacesOf(tasks, chance, choices);
  absl::flat_hash_map<std::string, int> extra;  // By task.
  for (int out = 1; out < kMostParallel; ++out) {
    std::vector<ReadyTask> more;
    absl::flat_hash_map<std::string, std::vector<Covered*>> open;
    for (Covered& place : places) {
      const ReadyTask& task = tasks[place.task];
      const bool all_asked = static_cast<int>(place.choices.size()) < out;
      if (all_asked || task.parallel <= out || place.nobody <= 1 - kLikelyAccepted) continue;
      std::vector<Covered*>& of_task = open[task.task];
      if (of_task.empty()) {
        more.push_back(task);
        more.back().places = 0;
        for (const Choice& choice : choices) {
          if (choice.task == task.task) more.back().excluded.insert(choice.contractor);
        }
      }
      of_task.push_back(&place);
    }
    for (ReadyTask& task : more) task.places = static_cast<int>(open[task.task].size());
    if (more.empty()) return;
    for (Choice& choice : match(more)) {
      std::vector<Covered*>& of_task = open[choice.task];
      Covered& place = *of_task.back();
      of_task.pop_back();
      place.nobody *= 1 - chance(choice.contractor, tasks[place.task]);
      choice.over = ++extra[choice.task];
      place.choices.push_back(choices.size());
      choices.push_back(std::move(choice));
      for (const size_t i : place.choices) choices[i].decision.set_parallel(true);
    }
  }
}

bool WantsDuplicate(const LiveTask& task, const SlowSecondsOf& slow, int64_t now_ms) {
  if (task.gold || task.delayed || !task.ahead.empty() || task.places_left() > 0) return false;
  int64_t slow_since = 0;  // The latest.
  int64_t last_offered = 0;
  for (const auto& [contractor, place] : task.places) {
    if (!IsLive(place)) continue;
    last_offered = std::max(last_offered, place.offered_ms());
    if (place.state() != Placement::ACCEPTED) continue;
    const double seconds = slow(contractor);
    const int64_t usual_ms =
        std::isfinite(seconds) ? static_cast<int64_t>(seconds * 1000) : place.work_ms() / 2;
    const int64_t since = place.accepted_ms() + std::min(usual_ms, place.work_ms());
    if (since <= now_ms) slow_since = std::max(slow_since, since);
  }
  return slow_since > 0 && last_offered < slow_since;
}

}  // namespace fairlead::dispatch
