// fairlead replay: what a way to choose would have made of answers that people really gave.
#include <cmath>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"
#include "scheduler/cli/command.h"
#include "scheduler/cli/file.h"
#include "scheduler/cli/print.h"
#include "scheduler/cli/replay_files.h"
#include "scheduler/dispatch/choice/choice_policy.h"
#include "scheduler/replay/replay.h"

namespace fairlead::cli {
namespace {

struct ReplayArguments {
  std::string directory, policy = "default", json_file;
  replay::ReplayOptions options;
  std::vector<std::string> weights;
  int seeds = 20;
  uint64_t first_seed = 1;
};

// What is a mean over nothing is null.
nlohmann::ordered_json Number(double value) {
  if (!std::isfinite(value)) return nullptr;
  return value;
}

nlohmann::ordered_json ToJson(const std::string& policy, const replay::ReplaySummary& summary) {
  const replay::ReplayOutcome& mean = summary.mean;
  return {{"policy", policy},
          {"answers_per_task", Number(mean.answers_per_task)},
          {"accuracy", Number(mean.accuracy)},
          {"accuracy_sd", Number(summary.accuracy_sd)},
          {"gini", Number(mean.gini)},
          {"starvation", Number(mean.starvation)},
          {"seconds_per_label", Number(mean.seconds_per_label)},
          {"stopped_share", Number(mean.stopped_share)},
          {"stated_at_stop", Number(mean.stated_at_stop)},
          {"realised_at_stop", Number(mean.realised_at_stop)}};
}

std::string Cell(double value, const char* unit) {
  if (!std::isfinite(value)) return "-";
  return absl::StrFormat("%.4g%s", value, unit);
}

void Print(const ReplayArguments& arguments, const ReplayFiles& files,
           const replay::ReplaySummary& summary) {
  const replay::ReplaySet& set = files.set;
  const replay::ReplayOutcome& mean = summary.mean;
  std::cout << arguments.directory << ": " << set.tasks << " tasks, " << set.contractors
            << " contractors, " << set.answers.size() << " answers, " << set.classes
            << " classes\n";
  if (files.repeats > 0) {
    std::cout << files.repeats << " repeated answers of a contractor to a task dropped\n";
  }
  if (files.unknown_tasks > 0) {
    std::cout << files.unknown_tasks << " truths of tasks that nobody answered not used\n";
  }
  std::cout << FormatTable(
      {{"policy", "answers/task", "accuracy", "sd", "gini", "starved", "s/label", "stopped",
        "stated", "realised"},
       {arguments.policy, Cell(mean.answers_per_task, ""), Cell(100 * mean.accuracy, " %"),
        Cell(100 * summary.accuracy_sd, ""), Cell(mean.gini, ""), Cell(100 * mean.starvation, " %"),
        Cell(mean.seconds_per_label, ""), Cell(100 * mean.stopped_share, " %"),
        Cell(100 * mean.stated_at_stop, " %"), Cell(100 * mean.realised_at_stop, " %")}});
}

absl::Status RunReplayCommand(const ReplayArguments& arguments) {
  RETURN_IF_ERROR(arguments.options.Validate());
  if (arguments.seeds < 1) return FieldError("seeds", "must be at least 1");
  dispatch::Policy formula = dispatch::DefaultPolicy();
  for (const std::string& weight : arguments.weights) {
    RETURN_IF_ERROR(dispatch::SetWeight(weight, formula));
  }
  ASSIGN_OR_RETURN(const auto policy, dispatch::MakeChoicePolicy(arguments.policy, formula));
  ASSIGN_OR_RETURN(const ReplayFiles files, ReadReplayFiles(arguments.directory));
  std::vector<replay::ReplayOutcome> outcomes;
  StatusLine progress;
  for (int i = 0; i < arguments.seeds; ++i) {
    ASSIGN_OR_RETURN(const replay::ReplayOutcome outcome,
                     replay::RunReplay(files.set, *policy, arguments.options,
                                       arguments.first_seed + static_cast<uint64_t>(i)));
    outcomes.push_back(outcome);
    progress.Show(absl::StrCat("replayed ", i + 1, " of ", arguments.seeds));
  }
  const replay::ReplaySummary summary = replay::Summarise(outcomes);
  const std::string json = ToJson(arguments.policy, summary).dump(2) + "\n";
  if (arguments.json_file == "-") {
    std::cout << json;
    return absl::OkStatus();
  }
  Print(arguments, files, summary);
  return arguments.json_file.empty() ? absl::OkStatus() : WriteFile(arguments.json_file, json);
}

}  // namespace

void AddReplayCommand(CommandLine& line) {
  auto arguments = std::make_shared<ReplayArguments>();
  CLI::App* command = line.Add(
      nullptr, "replay", "What a way to choose would have made of real answers",
      "fairlead replay --data crowd/snow_rte --policy default --answers-per-task 3 --seeds 20",
      [arguments] { return Finish(RunReplayCommand(*arguments)); });
  command
      ->add_option("--data", arguments->directory,
                   "Folder with labels.csv (task,worker,label[,time_s]) and truth.csv (task,label)")
      ->required();
  command->add_option("--policy", arguments->policy,
                      absl::StrCat("One of: ", absl::StrJoin(dispatch::ChoicePolicyNames(), ", ")));
  command->add_option("--weight", arguments->weights,
                      "NAME=VALUE in the default's formula, any number of times: to tune it");
  command->add_option("--answers-per-task", arguments->options.answers_per_task,
                      "Mean answers a task; the policy spreads them as it likes");
  command->add_option("--gold-rate", arguments->options.gold_rate,
                      "Share of the tasks whose truth is revealed, and left out of accuracy");
  command->add_option(
      "--stop", arguments->options.stop,
      "Calibrated confidence at which a task gets no more answers (default: never)");
  command->add_option("--seeds", arguments->seeds, "Runs, with seeds in a row");
  command->add_option("--seed", arguments->first_seed, "The first seed");
  command->add_option("--json", arguments->json_file,
                      "Write the means as one JSON object; - for stdout without the table");
}

}  // namespace fairlead::cli
