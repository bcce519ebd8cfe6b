#include "scheduler/operate/archiver.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/status.h"
#include "common/redis/keys.h"

namespace fairlead::operate {
namespace {

constexpr int64_t kLimit = 500;

void Count(bool dead, const char* reason, int64_t by) {
  CounterOf("fairlead_tasks_archived_total",
            "Ended tasks that left Redis after their retention, by queue and reason.",
            {{"queue", dead ? "dead" : "ended"}, {"reason", reason}})
      .Increment(static_cast<double>(by));
}

}  // namespace

absl::Status Retention::Validate() const {
  for (const auto& [field, age] :
       {std::pair("--task_retention", ended), std::pair("--dead_retention", dead)}) {
    if (age < absl::Seconds(1)) return FieldError(field, "must be at least 1s, like 168h");
  }
  for (const auto& [field, count] : {std::pair("--task_retention_count", ended_count),
                                     std::pair("--dead_retention_count", dead_count)}) {
    if (count < 0) return FieldError(field, "must be 0 or more");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Archiver::ProjectsOf(
    const std::string& slot, const std::vector<std::string>& tasks) {
  std::vector<redis::Arguments> reads;
  reads.reserve(tasks.size());
  for (const std::string& task : tasks) reads.push_back({"HGET", redis::TaskKey(slot, task), "p"});
  ASSIGN_OR_RETURN(std::vector<redis::Reply> replies, tasks_->caller().pool().Pipeline(reads));
  std::vector<std::string> projects;
  projects.reserve(replies.size());
  for (const redis::Reply& reply : replies) projects.push_back(reply.AsText());
  return projects;
}

absl::StatusOr<int> Archiver::Archive(const std::string& slot, const Queue& queue, absl::Time now) {
  ASSIGN_OR_RETURN(std::vector<redis::Reply> replies,
                   tasks_->caller().pool().Pipeline(
                       {{"ZCARD", queue.key},
                        {"ZRANGE", queue.key, "0", absl::StrCat(kLimit - 1), "WITHSCORES"}}));
  const int64_t over = replies[0].AsInt() - queue.count;
  const int64_t due_ms = absl::ToUnixMillis(now - queue.age);
  std::vector<std::string> due;
  std::vector<int64_t> ended_ms;
  const std::vector<redis::Reply>& oldest = replies[1].elements;
  for (size_t i = 0; i + 1 < oldest.size(); i += 2) {
    const int64_t ended = oldest[i + 1].AsInt();
    if (ended > due_ms && static_cast<int64_t>(due.size()) >= over) break;
    due.push_back(oldest[i].text);
    ended_ms.push_back(ended);
  }
  if (due.empty()) return 0;
  ASSIGN_OR_RETURN(std::vector<std::string> projects, ProjectsOf(slot, due));
  // Read after the queue: whatever is in it was decided before.
  const uint64_t logged = logged_(slot);
  int64_t by_age = 0, by_count = 0;
  for (size_t i = 0; i < due.size(); ++i) {
    if (projects[i].empty()) continue;  // Replaced by a rebuild meanwhile.
    ASSIGN_OR_RETURN(bool left,
                     tasks_->Archive({projects[i], due[i]}, {queue.dead, ended_ms[i], logged}));
    if (left) ++(ended_ms[i] <= due_ms ? by_age : by_count);
  }
  if (by_age > 0) Count(queue.dead, "age", by_age);
  if (by_count > 0) Count(queue.dead, "count", by_count);
  if (by_age + by_count > 0) {
    FAIRLEAD_LOG(INFO) << "ended tasks archived slot=" << slot
                       << " queue=" << (queue.dead ? "dead" : "ended") << " by_age=" << by_age
                       << " by_count=" << by_count;
  }
  return static_cast<int>(by_age + by_count);
}

absl::StatusOr<int> Archiver::RunOnce(absl::Time now) {
  int archived = 0;
  for (const std::string& slot : tasks_->topology().ShardSlots()) {
    for (const Queue& queue :
         {Queue{redis::EndedKey(slot), false, retention_.ended, retention_.ended_count},
          Queue{redis::DeadKey(slot), true, retention_.dead, retention_.dead_count}}) {
      ASSIGN_OR_RETURN(int left, Archive(slot, queue, now));
      archived += left;
    }
  }
  return archived;
}

}  // namespace fairlead::operate
