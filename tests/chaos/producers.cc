// The two that bring work: jobs into the machine lane, tasks to the scheduler. What was sent and
// not answered is sent again under the same ids, also by the next life of the process.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/queue/redis_job_queue.h"
#include "common/redis/connection.h"
#include "scheduler/cli/client.h"
#include "tests/chaos/actor_log.h"
#include "tests/chaos/actors.h"
#include "tests/e2e/class_items.h"

namespace fairlead::chaos {
namespace {

constexpr absl::Duration kPace = absl::Milliseconds(50);
constexpr int kMostJobs = 30;  // In one call.

bool IsPassing(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
         absl::IsDeadlineExceeded(status);
}

// "producer-0-17" → 17.
int64_t NumberOf(const std::string& id) {
  const std::vector<std::string> parts = absl::StrSplit(id, '-');
  int64_t number = -1;
  return absl::SimpleAtoi(parts.back(), &number) ? number : -1;
}

// What an earlier life sent last, if it is not known to be acknowledged, and the next number.
struct Resumed {
  std::vector<std::string> unanswered;
  int64_t next = 0;
};

absl::StatusOr<Resumed> Resume(const std::string& log) {
  int64_t offset = 0;
  ASSIGN_OR_RETURN(const std::vector<Entry> entries, ReadEntries(log, &offset));
  Resumed resumed;
  for (const Entry& entry : entries) {
    if (entry.kind == "acked") resumed.unanswered.clear();
    if (entry.kind != "send") continue;
    resumed.unanswered = entry.fields;
    resumed.next = std::max(resumed.next, NumberOf(entry.fields.back()) + 1);
  }
  return resumed;
}

// Sends calls one after the other until it is asked to stop. `draw` makes the ids of call number n;
// `call` returns what the answer acknowledged.
absl::Status KeepSending(
    const ActorOptions& options, StopSignal& stop, absl::Duration pace,
    const std::function<std::vector<std::string>(int64_t next, sim::Dice& dice)>& draw,
    const std::function<absl::StatusOr<std::vector<std::string>>(const std::vector<std::string>&)>&
        call) {
  ASSIGN_OR_RETURN(Resumed resumed, Resume(options.log));
  ASSIGN_OR_RETURN(ActorLog log, ActorLog::Open(options.log));
  sim::Dice dice(options.seed + static_cast<uint64_t>(resumed.next));
  std::vector<std::string> ids = resumed.unanswered;
  int64_t next = resumed.next;
  // Also after SIGTERM until what was sent is answered: it may have had its effect.
  while (!ids.empty() || !stop.Wait(pace)) {
    if (ids.empty()) {
      ids = draw(next, dice);
      next = NumberOf(ids.back()) + 1;
    }
    log.Write("send", ids);
    const absl::StatusOr<std::vector<std::string>> acknowledged = call(ids);
    if (acknowledged.ok()) {
      log.Write("acked", *acknowledged);
      ids.clear();
      continue;
    }
    const std::string reason = ReasonOf(acknowledged.status());
    log.Write("refused", {reason.empty() ? "-" : reason});
    if (!IsPassing(acknowledged.status())) return acknowledged.status();
    stop.Wait(pace);
  }
  return absl::OkStatus();
}

}  // namespace

queue::NewJob JobOf(const std::string& id) {
  const int64_t number = NumberOf(id);
  queue::NewJob job;
  job.record.set_job(id);
  job.record.set_kind(number % 3 == 0 ? "chaos-a" : "chaos-b");
  job.record.set_tenant(absl::StrCat("tenant-", number % 4));
  if (number % 8 == 0) job.record.mutable_requirements()->add_labels("eu");
  job.priority = static_cast<int>(number % 5) - 2;
  return job;
}

StopSignal::StopSignal()
    : fd_([] {
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
      }()) {}

StopSignal::~StopSignal() { close(fd_); }

bool StopSignal::Wait(absl::Duration pace) {
  // Once it is asked for, a wait is still a wait: who tries again does not spin.
  pollfd ready = {asked_ ? -1 : fd_, POLLIN, 0};
  if (poll(&ready, 1, static_cast<int>(absl::ToInt64Milliseconds(pace))) > 0) asked_ = true;
  return asked_;
}

absl::Status RunProducer(const ActorOptions& options, StopSignal& stop) {
  redis::RedisOptions redis;
  redis.address = options.redis;
  redis.command_timeout = absl::Seconds(2);
  redis::ConnectionPool pool(redis);
  queue::RedisJobQueue lane(&pool, "m0");
  return KeepSending(
      options, stop, kPace,
      [&](int64_t next, sim::Dice& dice) {
        std::vector<std::string> ids;
        const int count = 1 + dice.Below(kMostJobs);
        for (int i = 0; i < count; ++i) ids.push_back(absl::StrCat(options.name, "-", next + i));
        return ids;
      },
      [&](const std::vector<std::string>& ids) -> absl::StatusOr<std::vector<std::string>> {
        std::vector<queue::NewJob> jobs;
        for (const std::string& id : ids) jobs.push_back(JobOf(id));
        RETURN_IF_ERROR(lane.EnqueueBatch(jobs).status());
        return ids;
      });
}

absl::Status RunClient(const ActorOptions& options, StopSignal& stop) {
  const cli::Client client(options.scheduler, options.token, "dev");
  return KeepSending(
      options, stop, 4 * kPace,
      [&](int64_t next, sim::Dice&) {
        return std::vector<std::string>{absl::StrCat(options.name, "-", next)};
      },
      [&](const std::vector<std::string>& ids) -> absl::StatusOr<std::vector<std::string>> {
        v1::SubmitTasksRequest request;
        request.set_project(options.project);
        request.set_request_id(ids[0]);
        const int first = static_cast<int>(NumberOf(ids[0])) * kTasksOfACall;
        for (int i = first; i < first + kTasksOfACall; ++i) {
          *request.add_tasks() = e2e::ClassItems::Task(i);
        }
        ASSIGN_OR_RETURN(const v1::SubmitTasksResponse response,
                         client.Call(client.tasks(), &v1::TaskService::Stub::SubmitTasks, request,
                                     absl::Seconds(10)));
        return std::vector<std::string>{response.names().begin(), response.names().end()};
      });
}

}  // namespace fairlead::chaos
