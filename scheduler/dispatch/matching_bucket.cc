#include "scheduler/dispatch/matching_bucket.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace fairlead::dispatch {
namespace {

// Accepting four of five offers in time is as good as all of them.
constexpr double kResponsivenessPlateau = 0.8;

bool HasSkills(const FreeContractor& contractor, const std::vector<std::string>& required) {
  return std::all_of(required.begin(), required.end(), [&](const std::string& skill) {
    return std::find(contractor.skills.begin(), contractor.skills.end(), skill) !=
           contractor.skills.end();
  });
}

std::vector<Standing> StandingsOf(const Snapshot& snapshot, const Policy& policy, v1::TaskKind kind,
                                  const std::vector<std::string>& required) {
  std::vector<Standing> standings;
  for (size_t i = 0; i < snapshot.contractors.size(); ++i) {
    const FreeContractor& contractor = snapshot.contractors[i];
    if (contractor.credit <= 0 || !HasSkills(contractor, required)) continue;
    Standing s;
    s.contractor = static_cast<int>(i);
    const auto it = contractor.scores.find(kind);
    if (it != contractor.scores.end()) s.score = it->second;
    quality::Decay(snapshot.now_ms, s.score);
    s.quality_mean = quality::QualityMean(s.score);
    s.quality_sd = quality::QualitySd(s.score);
    s.expected_seconds = quality::ExpectedSeconds(s.score, policy.fallback_seconds);
    const double window = static_cast<double>(snapshot.offer_window_ms) / 1000;
    s.responsiveness =
        std::min(1.0, quality::AcceptProbability(s.score, window) / kResponsivenessPlateau);
    if (policy.newcomer_evidence > 0) {
      s.newcomer = std::max(0.0, 1 - quality::Evidence(s.score) / policy.newcomer_evidence);
    }
    s.value = InformationGain(kind, s.quality_mean, 1) / std::sqrt(s.expected_seconds);
    standings.push_back(std::move(s));
  }
  return standings;
}

template <typename Key>
std::vector<int> Descending(const std::vector<Standing>& standings, const Key& key) {
  std::vector<int> order(standings.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return key(standings[a]) > key(standings[b]); });
  return order;
}

std::vector<int> Newcomers(const std::vector<Standing>& standings) {
  std::vector<int> order = Descending(standings, [](const Standing& s) { return s.newcomer; });
  std::erase_if(order, [&](int i) { return standings[i].newcomer <= 0; });
  return order;
}

}  // namespace

CreditList::CreditList(std::vector<int> members)
    : members_(std::move(members)), next_(members_.size() + 1) {
  std::iota(next_.begin(), next_.end(), size_t{0});
}

size_t CreditList::Next(size_t slot) {
  size_t root = std::min(slot, members_.size());
  while (next_[root] != root) root = next_[root];
  while (slot < members_.size() && next_[slot] != slot) {
    slot = std::exchange(next_[slot], root);
  }
  return root;
}

Bucket::Bucket(const Snapshot& snapshot, const Policy& policy, v1::TaskKind kind,
               const std::vector<std::string>& required_skills)
    : standings_(StandingsOf(snapshot, policy, kind, required_skills)),
      by_value_(Descending(standings_, [](const Standing& s) { return s.value; })),
      by_waiting_(Descending(standings_,
                             [&](const Standing& s) {
                               return snapshot.contractors[s.contractor].seconds_since_offer;
                             })),
      newcomers_(Newcomers(standings_)) {}

}  // namespace fairlead::dispatch
