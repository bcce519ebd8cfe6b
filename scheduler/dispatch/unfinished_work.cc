#include "scheduler/dispatch/unfinished_work.h"

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/redis/keys.h"
#include "scheduler/store/redis_task_store.h"

namespace fairlead::dispatch {

void UnfinishedWork::Add(const Unfinished& work) {
  if (!work_.try_emplace(work.assignment, work).second) return;
  ends_.emplace(work.until_ms, work.assignment);
  ++counts_[work.project];
}

void UnfinishedWork::Remove(absl::string_view assignment) {
  const auto found = work_.find(assignment);
  if (found == work_.end()) return;
  ends_.erase({found->second.until_ms, found->second.assignment});
  const auto count = counts_.find(found->second.project);
  if (--count->second == 0) counts_.erase(count);
  work_.erase(found);
}

void UnfinishedWork::RemoveUntil(int64_t ms) {
  while (!ends_.empty() && ends_.begin()->first < ms) {
    Remove(std::string(ends_.begin()->second));
  }
}

void UnfinishedWork::RemoveSlot(absl::string_view slot) {
  std::vector<std::string> gone;
  for (const auto& [assignment, work] : work_) {
    if (work.slot == slot) gone.push_back(assignment);
  }
  for (const std::string& assignment : gone) Remove(assignment);
}

int64_t UnfinishedWork::Of(absl::string_view project) const {
  const auto found = counts_.find(project);
  return found == counts_.end() ? 0 : found->second;
}

absl::StatusOr<std::vector<Unfinished>> ReadUnfinished(redis::ConnectionPool& pool,
                                                       const std::string& slot) {
  ASSIGN_OR_RETURN(const redis::Reply members,
                   pool.Call({"ZRANGE", redis::DeadlinesKey(slot), "0", "-1"}));
  std::vector<std::pair<std::string, std::string>> places;  // Task, contractor.
  std::vector<redis::Arguments> reads;
  for (const redis::Reply& member : members.elements) {
    places.push_back(absl::StrSplit(member.text, absl::MaxSplits('|', 1)));
    reads.push_back({"HGET", redis::PlacesKey(slot, places.back().first), places.back().second});
  }
  std::vector<Unfinished> found;
  if (reads.empty()) return found;
  ASSIGN_OR_RETURN(const std::vector<redis::Reply> packed, pool.Pipeline(reads));
  for (size_t i = 0; i < places.size(); ++i) {
    if (!absl::StartsWith(packed[i].text, "WITHDRAWN|")) continue;  // Most are of live tasks.
    const auto& [task, contractor] = places[i];
    ASSIGN_OR_RETURN(const std::vector<redis::Reply> replies,
                     pool.Pipeline({{"HGET", redis::TaskKey(slot, task), "p"},
                                    {"HGETALL", redis::PlacesKey(slot, task)}}));
    store::TaskState state;
    store::ParsePlaces(replies[1], state);
    for (const store::v1::Placement& place : state.places) {
      if (place.contractor() != contractor) continue;
      found.push_back({slot, replies[0].AsText(), place.assignment(), place.deadline_ms()});
    }
  }
  return found;
}

}  // namespace fairlead::dispatch
