#include "scheduler/operate/reaper.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/redis/keys.h"

namespace fairlead::operate {
namespace {

constexpr int kLimit = 100;

// What was done meanwhile by somebody else is not an error of this loop.
absl::Status OnlyOutages(const absl::Status& status) {
  return absl::IsUnavailable(status) ? status : absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Reaper::Due>> Reaper::DueIn(const std::string& slot,
                                                       const std::string& key, absl::Time now) {
  redis::ConnectionPool& pool = tasks_->caller().pool();
  ASSIGN_OR_RETURN(redis::Reply members,
                   pool.Call({"ZRANGEBYSCORE", key, "-inf", absl::StrCat(absl::ToUnixMillis(now)),
                              "LIMIT", "0", absl::StrCat(kLimit)}));
  std::vector<Due> due;
  std::vector<redis::Arguments> reads;
  for (const redis::Reply& member : members.elements) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(member.text, absl::MaxSplits('|', 1));
    due.push_back({"", parts.first, parts.second});
    reads.push_back({"HGET", redis::TaskKey(slot, parts.first), "p"});
  }
  if (reads.empty()) return due;
  ASSIGN_OR_RETURN(std::vector<redis::Reply> projects, pool.Pipeline(reads));
  for (size_t i = 0; i < due.size(); ++i) due[i].project = projects[i].AsText();
  return due;
}

absl::StatusOr<int> Reaper::RunOnce(absl::Time now) {
  int count = 0;
  for (const std::string& slot : tasks_->topology().ShardSlots()) {
    ASSIGN_OR_RETURN(std::vector<Due> places, DueIn(slot, redis::DeadlinesKey(slot), now));
    for (const Due& due : places) {
      RETURN_IF_ERROR(OnlyOutages(tasks_
                                      ->Release({due.project, due.task}, due.contractor, "",
                                                store::v1::Placement::LAPSED, "")
                                      .status()));
    }
    ASSIGN_OR_RETURN(std::vector<Due> starting, DueIn(slot, redis::DelayedKey(slot), now));
    for (const Due& due : starting) {
      RETURN_IF_ERROR(OnlyOutages(tasks_->Start({due.project, due.task})));
    }
    ASSIGN_OR_RETURN(std::vector<Due> expiring, DueIn(slot, redis::ExpiriesKey(slot), now));
    for (const Due& due : expiring) {
      RETURN_IF_ERROR(OnlyOutages(
          tasks_->End({due.project, due.task}, fairlead::v1::Task::EXPIRED, "expired").status()));
    }
    count += static_cast<int>(places.size() + starting.size() + expiring.size());
  }
  ASSIGN_OR_RETURN(int jobs, jobs_->Reap(kLimit));
  return count + jobs;
}

}  // namespace fairlead::operate
