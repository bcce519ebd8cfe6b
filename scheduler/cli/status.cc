// fairlead status: queues, jobs, workers, contractors online.
#include <unistd.h>

#include <iostream>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "google/protobuf/util/time_util.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/print.h"

namespace fairlead::cli {
namespace {

std::string FormatQueues(const v1::GetQueuesResponse& queues) {
  std::vector<std::vector<std::string>> rows = {{"PROJECT", "STATE", "SUBMITTED", "READY",
                                                 "DELAYED", "OPEN", "COMPLETED", "CANCELLED",
                                                 "EXPIRED", "DEAD", "ANSWERS", "OLDEST"}};
  for (const auto& queue : queues.projects()) {
    const v1::Project::Counts& counts = queue.counts();
    const int64_t oldest = google::protobuf::util::TimeUtil::DurationToSeconds(queue.oldest_age());
    rows.push_back({queue.project(), v1::Project::State_Name(queue.state()),
                    absl::StrCat(counts.submitted()), absl::StrCat(counts.ready()),
                    absl::StrCat(counts.delayed()), absl::StrCat(counts.open()),
                    absl::StrCat(counts.completed()), absl::StrCat(counts.cancelled()),
                    absl::StrCat(counts.expired()), absl::StrCat(counts.dead()),
                    absl::StrCat(counts.annotations()), absl::StrCat(oldest, " s")});
  }
  std::string text = FormatTable(rows);
  rows = {{"JOBS", "READY", "DELAYED", "LEASED", "DONE", "DEAD"}};
  for (const auto& queue : queues.jobs()) {
    rows.push_back({queue.kind(), absl::StrCat(queue.ready()), absl::StrCat(queue.delayed()),
                    absl::StrCat(queue.leased()), absl::StrCat(queue.done()),
                    absl::StrCat(queue.dead())});
  }
  absl::StrAppend(&text, "\n", FormatTable(rows));
  rows = {{"WORKER", "HOST", "DEVICE", "LEASED", "LEASE UNTIL", "PROGRESS"}};
  for (const auto& worker : queues.workers()) {
    rows.push_back({worker.session(), worker.host(), worker.device(), absl::StrCat(worker.leased()),
                    FormatTime(worker.lease_expire_time()), worker.progress()});
  }
  absl::StrAppend(&text, "\n", FormatTable(rows));
  absl::StrAppend(&text, "\ncontractors online: ", queues.contractors_online(),
                  "   events made durable: ", queues.record_log_seq(), "\n");
  return text;
}

absl::Status RunStatus(const GlobalOptions& globals, bool watch) {
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kOperator));
  while (true) {
    ASSIGN_OR_RETURN(
        const v1::GetQueuesResponse queues,
        client->Call(client->admin(), &v1::AdminService::Stub::GetQueues, v1::GetQueuesRequest()));
    if (globals.json) {
      PrintJson(queues);
    } else {
      if (watch && isatty(STDOUT_FILENO) == 1) std::cout << "\033[H\033[2J";
      std::cout << FormatQueues(queues);
    }
    std::cout << std::flush;
    if (!watch) return absl::OkStatus();
    if (!std::cout) return absl::OkStatus();  // The reader went away.
    absl::SleepFor(absl::Seconds(2));
  }
}

}  // namespace

void AddStatusCommand(CommandLine& line) {
  auto watch = std::make_shared<bool>(false);
  GlobalOptions& globals = line.globals;
  CLI::App* command = line.Add(nullptr, "status", "Queues, jobs, workers, contractors online",
                               "fairlead status --watch",
                               [&globals, watch] { return Finish(RunStatus(globals, *watch)); });
  command->add_flag("--watch", *watch, "Again every two seconds");
}

}  // namespace fairlead::cli
