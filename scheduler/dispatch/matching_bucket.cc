#include "scheduler/dispatch/matching_bucket.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace fairlead::dispatch {
namespace {

bool HasSkills(const FreeContractor& contractor, const std::vector<std::string>& required) {
  return std::all_of(required.begin(), required.end(), [&](const std::string& skill) {
    return std::find(contractor.skills.begin(), contractor.skills.end(), skill) !=
           contractor.skills.end();
  });
}

std::vector<Member> MembersOf(const Snapshot& snapshot, const Policy& policy, v1::TaskKind kind,
                              double alternatives, const std::vector<std::string>& required) {
  const double window = static_cast<double>(snapshot.offer_window_ms) / 1000;
  std::vector<Member> members;
  for (size_t i = 0; i < snapshot.contractors.size(); ++i) {
    const FreeContractor& contractor = snapshot.contractors[i];
    if (contractor.credit <= 0 || !HasSkills(contractor, required)) continue;
    quality::ContractorScore score;
    const auto it = contractor.scores.find(kind);
    if (it != contractor.scores.end()) score = it->second;
    quality::Decay(snapshot.now_ms, score);
    members.push_back({static_cast<int>(i), StandingOf(score, alternatives, window, policy)});
  }
  return members;
}

template <typename Key>
std::vector<int> Descending(const std::vector<Member>& members, const Key& key) {
  std::vector<int> order(members.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return key(members[a]) > key(members[b]); });
  return order;
}

std::vector<int> Newcomers(const std::vector<Member>& members) {
  std::vector<int> order = Descending(members, [](const Member& m) { return m.standing.newcomer; });
  std::erase_if(order, [&](int i) { return members[i].standing.newcomer <= 0; });
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
               double alternatives, const std::vector<std::string>& required_skills)
    : members_(MembersOf(snapshot, policy, kind, alternatives, required_skills)),
      by_value_(Descending(members_, [](const Member& m) { return m.standing.value; })),
      by_waiting_(Descending(
          members_,
          [&](const Member& m) { return snapshot.contractors[m.contractor].seconds_since_offer; })),
      newcomers_(Newcomers(members_)) {}

}  // namespace fairlead::dispatch
