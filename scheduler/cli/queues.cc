// fairlead queues: how deep they are, how old, and how fast they move.
#include <unistd.h>

#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "google/protobuf/util/time_util.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/print.h"

namespace fairlead::cli {
namespace {

constexpr absl::Duration kPeriod = absl::Seconds(2);

// What had ended of each queue when it was last looked at, for its throughput.
struct Seen {
  absl::Time when = absl::InfinitePast();
  std::map<std::string, int64_t> ended;
};

std::string RateOf(const std::string& queue, int64_t ended, absl::Time now, const Seen& before) {
  const auto last = before.ended.find(queue);
  if (last == before.ended.end()) return "-";
  const double seconds = absl::ToDoubleSeconds(now - before.when);
  return absl::StrFormat("%.1f/s", static_cast<double>(ended - last->second) / seconds);
}

std::string FormatQueues(const v1::GetQueuesResponse& queues, absl::Time now, Seen* seen) {
  std::vector<std::vector<std::string>> rows = {
      {"QUEUE", "READY", "OLDEST", "LEASED", "DELAYED", "DEAD", "DONE", "RATE"}};
  Seen next{now, {}};
  for (const auto& queue : queues.projects()) {
    const v1::Project::Counts& counts = queue.counts();
    const int64_t oldest = google::protobuf::util::TimeUtil::DurationToSeconds(queue.oldest_age());
    rows.push_back({queue.project(), absl::StrCat(counts.ready()), absl::StrCat(oldest, " s"),
                    absl::StrCat(counts.open()), absl::StrCat(counts.delayed()),
                    absl::StrCat(counts.dead()), absl::StrCat(counts.completed()),
                    RateOf(queue.project(), counts.completed(), now, *seen)});
    next.ended[queue.project()] = counts.completed();
  }
  for (const auto& queue : queues.jobs()) {
    const std::string name = absl::StrCat("jobs ", queue.kind());
    const int64_t oldest = google::protobuf::util::TimeUtil::DurationToSeconds(queue.oldest_age());
    rows.push_back({name, absl::StrCat(queue.ready()), absl::StrCat(oldest, " s"),
                    absl::StrCat(queue.leased()), absl::StrCat(queue.delayed()),
                    absl::StrCat(queue.dead()), absl::StrCat(queue.done()),
                    RateOf(name, queue.done(), now, *seen)});
    next.ended[name] = queue.done();
  }
  *seen = next;
  return FormatTable(rows);
}

absl::Status RunQueues(const GlobalOptions& globals, bool watch) {
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kOperator));
  Seen seen;
  while (true) {
    ASSIGN_OR_RETURN(
        const v1::GetQueuesResponse queues,
        client->Call(client->admin(), &v1::AdminService::Stub::GetQueues, v1::GetQueuesRequest()));
    if (globals.json) {
      PrintJson(queues);
    } else {
      if (watch && isatty(STDOUT_FILENO) == 1) std::cout << "\033[H\033[2J";
      std::cout << FormatQueues(queues, absl::Now(), &seen);
    }
    std::cout << std::flush;
    // Without --watch there is no second look, or the reader went away.
    if (!watch || !std::cout) return absl::OkStatus();
    absl::SleepFor(kPeriod);
  }
}

}  // namespace

void AddQueuesCommand(CommandLine& line) {
  auto watch = std::make_shared<bool>(false);
  GlobalOptions& globals = line.globals;
  CLI::App* command = line.Add(nullptr, "queues", "Depth, age and throughput of every queue",
                               "fairlead queues --watch",
                               [&globals, watch] { return Finish(RunQueues(globals, *watch)); });
  command->add_flag("--watch", *watch, "Again every two seconds, with throughput");
}

}  // namespace fairlead::cli
