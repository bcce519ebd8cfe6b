// fairlead queues: how deep they are, how old, and how fast they move. fairlead limit: what a
// project's jobs may take of the workers.
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

absl::Status RunLimit(const GlobalOptions& globals, const v1::SetJobLimitsRequest& request) {
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kOperator));
  RETURN_IF_ERROR(
      client->Call(client->jobs(), &v1::JobService::Stub::SetJobLimits, request).status());
  std::cout << "limits of " << request.flow() << " set\n";
  return absl::OkStatus();
}

void AddLimitCommand(CommandLine& line) {
  struct Flags {
    std::string flow;
    int32_t weight = 1;
    int64_t leased = 0, burst = 0, waiting = 0;
    double rate = 0;
    bool pause = false;
  };
  auto flags = std::make_shared<Flags>();
  GlobalOptions& globals = line.globals;
  CLI::App* command = line.Add(
      nullptr, "limit", "Set what the jobs of a project may take; replaces what was set before",
      "fairlead limit acme/prices --weight 4 --leased 2 --rate 0.5 --burst 3", [&globals, flags] {
        v1::SetJobLimitsRequest request;
        request.set_flow(flags->flow);
        v1::JobLimits& limits = *request.mutable_limits();
        limits.set_weight(flags->weight);
        limits.set_max_leased(flags->leased);
        limits.set_per_second(flags->rate);
        limits.set_burst(flags->rate > 0 && flags->burst == 0 ? 1 : flags->burst);
        limits.set_max_waiting(flags->waiting);
        limits.set_paused(flags->pause);
        return Finish(RunLimit(globals, request));
      });
  command->add_option("flow", flags->flow, "TENANT/PROJECT, or a tenant for its other jobs")
      ->required();
  command->add_option("--weight", flags->weight, "Its share against other projects")
      ->check(CLI::Range(1, 128))
      ->capture_default_str();
  command->add_option("--leased", flags->leased, "Jobs running at a time; 0 is no limit");
  command->add_option("--rate", flags->rate, "Jobs started a second; 0 is no limit");
  command->add_option("--burst", flags->burst, "Jobs started at once, before the rate holds");
  command->add_option("--waiting", flags->waiting, "Jobs that may wait; 0 is no limit");
  command->add_flag("--pause", flags->pause, "Start none until limits without --pause are set");
}

}  // namespace

void AddQueuesCommand(CommandLine& line) {
  AddLimitCommand(line);
  auto watch = std::make_shared<bool>(false);
  GlobalOptions& globals = line.globals;
  CLI::App* command = line.Add(nullptr, "queues", "Depth, age and throughput of every queue",
                               "fairlead queues --watch",
                               [&globals, watch] { return Finish(RunQueues(globals, *watch)); });
  command->add_flag("--watch", *watch, "Again every two seconds, with throughput");
}

}  // namespace fairlead::cli
