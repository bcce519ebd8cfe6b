// fairlead simulate: a crowd of simulated contractors against a running server.
#include <pthread.h>
#include <signal.h>

#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"
#include "scheduler/cli/client.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/credentials.h"
#include "scheduler/cli/print.h"
#include "scheduler/cli/simulator.h"
#include "scheduler/cli/truth.h"

namespace fairlead::cli {
namespace {

struct SimulateFlags {
  SimulatorOptions options;
  double pace_ms = 300;
  double arrival_s = 0;
  double seconds = 0;
  std::string labels;
  std::string images;
  std::string lines;
};

nlohmann::ordered_json CountersJson(const ContractorCounters& counters) {
  return {{"offers", counters.offers},
          {"accepts", counters.accepts},
          {"declines", counters.declines},
          {"lapses", counters.lapses},
          {"submits", counters.submits},
          {"receipts", counters.receipts},
          {"repeated_receipts", counters.repeated_receipts},
          {"changed_receipts", counters.changed_receipts},
          {"withdrawn", counters.withdrawn},
          {"reports", counters.reports},
          {"reconnects", counters.reconnects},
          {"wrong_on_purpose", counters.wrong},
          {"paid_micros", counters.paid_micros},
          {"refusals", counters.refusals}};
}

absl::StatusOr<Truth> LoadTruth(const SimulateFlags& flags) {
  Truth truth;
  if (flags.labels.empty() != flags.images.empty()) {
    return FieldError("labels", "--labels and --images go together");
  }
  if (!flags.labels.empty()) RETURN_IF_ERROR(truth.LoadImages(flags.images, flags.labels));
  if (!flags.lines.empty()) RETURN_IF_ERROR(truth.LoadLines(flags.lines));
  if (truth.size() == 0)
    return FieldError("labels", "no truth: give --labels and --images, or --file");
  return truth;
}

// Returns when `signals` has one, or after `seconds` (0: never).
void WaitForEnd(const Simulator& simulator, double seconds, const sigset_t& signals) {
  const absl::Time end =
      seconds > 0 ? absl::Now() + absl::Seconds(seconds) : absl::InfiniteFuture();
  StatusLine line;
  while (absl::Now() < end) {
    const ContractorCounters counters = simulator.counters();
    line.Show(absl::StrFormat("online %d  offers %d  answers %d  paid %s  reconnects %d",
                              counters.connected, counters.offers, counters.receipts,
                              FormatMoney(counters.paid_micros, ""), counters.reconnects));
    const timespec wait = {.tv_sec = 0, .tv_nsec = 250'000'000};
    if (sigtimedwait(&signals, nullptr, &wait) > 0) return;
  }
}

absl::Status RunSimulate(const GlobalOptions& globals, SimulateFlags flags) {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  ASSIGN_OR_RETURN(const Credentials credentials, LoadCredentials(globals.credentials));
  flags.options.address = globals.address.empty() ? credentials.address : globals.address;
  flags.options.operator_token = credentials.operator_token;
  flags.options.pace = absl::Milliseconds(flags.pace_ms);
  flags.options.arrival = absl::Seconds(flags.arrival_s);
  ASSIGN_OR_RETURN(const Truth truth, LoadTruth(flags));
  ASSIGN_OR_RETURN(const auto simulator, Simulator::Start(flags.options, &truth));
  WaitForEnd(*simulator, flags.seconds, stop);
  if (!simulator->Drain(absl::Seconds(10))) {
    std::cerr << "some answers were still without a receipt after 10 s\n";
  }
  simulator->Stop();
  const ContractorCounters counters = simulator->counters();
  if (globals.json) {
    std::cout << CountersJson(counters).dump() << "\n";
    return absl::OkStatus();
  }
  std::cout << absl::StrFormat(
      "%d contractors: %d offers, %d accepted, %d declined, %d let lapse, %d answers "
      "(%d wrong on purpose), %d receipts, paid %s\n",
      flags.options.contractors, counters.offers, counters.accepts, counters.declines,
      counters.lapses, counters.submits, counters.wrong, counters.receipts,
      FormatMoney(counters.paid_micros, ""));
  for (const auto& [reason, count] : counters.refusals) {
    std::cout << "  refused " << reason << ": " << count << "\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddSimulateCommand(CommandLine& line) {
  auto flags = std::make_shared<SimulateFlags>();
  SimulatorOptions& options = flags->options;
  GlobalOptions& globals = line.globals;
  CLI::App* command = line.Add(
      nullptr, "simulate", "Simulated contractors on a running server; Ctrl-C ends it",
      "fairlead simulate --contractors 50 --accuracy 0.9 --images DIR --labels DIR/labels.tsv",
      [&globals, flags] { return Finish(RunSimulate(globals, *flags)); });
  command->add_option("--contractors", options.contractors, "How many, 1–1,000");
  command->add_option("--accuracy", options.accuracy, "Mean share of right answers");
  command->add_option("--accuracy-sd", options.accuracy_sd, "Its spread over contractors");
  command->add_option("--pace-ms", flags->pace_ms, "Median work time a task");
  command->add_option("--decline-rate", options.decline_rate, "Share of offers declined");
  command->add_option("--lapse-rate", options.lapse_rate, "Share of offers ignored");
  command->add_option("--arrival", flags->arrival_s, "Seconds over which they come online");
  command->add_option("--seed", options.seed, "Persons, paces and errors follow from it");
  command->add_option("--name-prefix", options.name_prefix, "contractors/PREFIX-001, …");
  command->add_option("--seconds", flags->seconds, "End after this long (0: at Ctrl-C)");
  command->add_option("--labels", flags->labels, "Truth: labels.tsv of --images");
  command->add_option("--images", flags->images, "Truth: folder or tar archive of the images");
  command->add_option("--file", flags->lines, "Truth: JSON lines with answers");
}

}  // namespace fairlead::cli
