// fairlead aggregate: labels out of a file of crowd answers, without a server.
#include <chrono>
#include <iostream>
#include <memory>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"
#include "scheduler/cli/aggregate_file.h"
#include "scheduler/cli/command.h"

namespace fairlead::cli {
namespace {

void Print(const AggregateOptions& options, const AggregateSummary& summary, double seconds) {
  std::cout << absl::StrFormat(
      "%d tasks, %d answers by %d contractors, kind %s, method %s -> %s (%.2f s)\n", summary.tasks,
      summary.answers, summary.contractors, summary.kind, summary.method, options.out, seconds);
  if (summary.repeats_dropped > 0) {
    std::cout << absl::StrFormat(
        "dropped %d rows: a second answer of the same worker to the same task\n",
        summary.repeats_dropped);
  }
  if (!options.gold.empty()) {
    std::cout << absl::StrFormat("gold: %d tasks pinned, %d rows about tasks without answers\n",
                                 summary.gold_tasks, summary.gold_unknown_tasks);
  }
  std::cout << absl::StrFormat("mean confidence %.3f, %s\n", summary.mean_confidence,
                               summary.calibrated_on_gold
                                   ? "calibrated on gold"
                                   : "not calibrated: that takes 20 answered gold tasks");
}

void PrintAsJson(const AggregateSummary& summary, double seconds) {
  nlohmann::ordered_json json = {{"kind", summary.kind},
                                 {"method", summary.method},
                                 {"tasks", summary.tasks},
                                 {"contractors", summary.contractors},
                                 {"answers", summary.answers},
                                 {"repeats_dropped", summary.repeats_dropped},
                                 {"gold_tasks", summary.gold_tasks},
                                 {"gold_unknown_tasks", summary.gold_unknown_tasks},
                                 {"calibrated_on_gold", summary.calibrated_on_gold},
                                 {"mean_confidence", summary.mean_confidence},
                                 {"seconds", seconds}};
  if (summary.kind == "class") json["classes"] = summary.classes;
  std::cout << json.dump() << "\n";
}

absl::Status RunAggregate(const GlobalOptions& globals, const AggregateOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  ASSIGN_OR_RETURN(const AggregateSummary summary, AggregateFile(options));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (globals.json) {
    PrintAsJson(summary, seconds);
  } else {
    Print(options, summary, seconds);
  }
  return absl::OkStatus();
}

}  // namespace

void AddAggregateCommand(CommandLine& line) {
  auto options = std::make_shared<AggregateOptions>();
  GlobalOptions& globals = line.globals;
  CLI::App* command = line.Add(
      nullptr, "aggregate", "One label with a confidence for each task of a file of answers",
      "fairlead aggregate --labels labels.csv --gold gold.csv --out out.csv",
      [&globals, options] { return Finish(RunAggregate(globals, *options)); });
  command
      ->add_option("--labels", options->labels,
                   "CSV with a header row: task,worker,label (or text); other columns are ignored")
      ->required();
  command->add_option("--out", options->out, "CSV to write: task,label,confidence")->required();
  command->add_option("--gold", options->gold, "CSV with known answers: task,label (or text)");
  command->add_option("--kind", options->kind,
                      "class, text or rating (class where there is a column label)");
  command->add_option("--method", options->method,
                      "class: auto mv weighted onecoin hds ds; text: auto medoid rover; "
                      "rating: auto mean bias");
}

}  // namespace fairlead::cli
