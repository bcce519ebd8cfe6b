// fairlead demo: the whole loop, twice, with its figures.
#include <filesystem>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/demo_options.h"
#include "scheduler/cli/demo_report.h"
#include "scheduler/cli/demo_run.h"
#include "scheduler/cli/file.h"

namespace fairlead::cli {
namespace {

// Of the budget, for the pass with models; the rest is the other's.
constexpr double kShareWithModels = 0.78;
constexpr char kMarker[] = "fairlead-demo";

// Empties the work directory, but only one that an earlier demo made.
absl::Status EmptyWorkDirectory(const std::string& directory) {
  std::error_code error;
  if (std::filesystem::exists(directory, error) && !std::filesystem::is_empty(directory, error)) {
    if (!std::filesystem::exists(absl::StrCat(directory, "/", kMarker), error)) {
      return FieldError("work-dir", absl::StrCat(directory, " holds something else; name another"));
    }
    std::filesystem::remove_all(directory, error);
    if (error) return absl::PermissionDeniedError(absl::StrCat("cannot empty ", directory));
  }
  RETURN_IF_ERROR(MakeDirectory(directory, 0700));
  return WriteFile(absl::StrCat(directory, "/", kMarker), "made by fairlead demo\n");
}

absl::StatusOr<DemoPass> RunPass(const DemoOptions& options, const DemoTasks& tasks, bool models,
                                 absl::Time deadline) {
  DemoRun run(options, tasks, models, models ? "with-models" : "prelabels-off", deadline);
  return run.Run();
}

void Announce(const DemoOptions& options, const DemoTasks& tasks) {
  std::cout << "Demo: " << tasks.ocr.size() << " OCR tasks ("
            << (options.images.empty() ? "drawn, " + options.difficulty : options.images) << "), "
            << tasks.pairs.size() << " preference pairs, "
            << tasks.gold_ocr.size() + tasks.gold_pairs.size() << " gold tasks, "
            << options.contractors << " simulated contractors of unequal skill, seed "
            << options.seed << ".\nHuman time is compressed: the median contractor takes "
            << absl::FormatDuration(options.pace) << " a task. OCR tasks are let in in "
            << options.waves
            << " waves, so that what a model learned can show: the next wave comes "
            << "when the\nlast one is nearly done and the training it started is decided, and is "
            << "read by the champion before contractors see it.\nThe same tasks and seed then run "
            << "once more without training and prelabels.\n";
  if (tasks.set_aside > 0) std::cout << tasks.set_aside << " images could not be used.\n";
}

absl::StatusOr<int> RunDemo(const DemoOptions& options) {
  const absl::Time start = absl::Now();
  RETURN_IF_ERROR(EmptyWorkDirectory(options.work_dir));
  ASSIGN_OR_RETURN(const DemoTasks tasks, LoadDemoTasks(options));
  Announce(options, tasks);
  ASSIGN_OR_RETURN(const DemoPass with_models,
                   RunPass(options, tasks, true, start + options.budget * kShareWithModels));
  ASSIGN_OR_RETURN(const DemoPass without, RunPass(options, tasks, false, start + options.budget));
  const absl::Duration total = absl::Now() - start;
  const bool binding = options.images.empty() && !options.quick;
  std::cout << DemoTable(with_models, without, total, binding);
  const std::string plot_file = absl::StrCat(AbsolutePath(options.work_dir), "/demo.svg");
  ASSIGN_OR_RETURN(const std::string plot, DemoPlot(with_models, without));
  RETURN_IF_ERROR(WriteFile(plot_file, plot));
  const nlohmann::ordered_json json = DemoJson(with_models, without, total);
  if (!options.json_file.empty()) {
    RETURN_IF_ERROR(WriteFile(options.json_file, json.dump(2) + "\n"));
  }
  std::cout << "\nplot: " << plot_file << "\n" << json.dump() << "\n";
  if (!binding) return kExitOk;
  for (const DemoBound& bound : CheckBounds(with_models, without, total)) {
    if (!bound.reached) return kExitFailure;
  }
  return kExitOk;
}

}  // namespace

void AddDemoCommand(CommandLine& line) {
  auto options = std::make_shared<DemoOptions>();
  auto quick = std::make_shared<bool>(false);
  auto budget = std::make_shared<double>(absl::ToDoubleSeconds(options->budget));
  CLI::App* command =
      line.Add(nullptr, "demo", "The whole loop in one command, in at most five minutes",
               "fairlead demo --json demo.json", [options, quick, budget] {
                 options->budget = absl::Seconds(*budget);
                 const absl::StatusOr<int> code = RunDemo(*quick ? QuickDemo(*options) : *options);
                 return code.ok() ? *code : Finish(code.status());
               });
  command->add_option("--json", options->json_file, "Write the figures as one JSON object");
  command->add_option("--data", options->images,
                      "A folder with images (or images.tar) and labels.tsv (default: drawn)");
  command->add_option("--work-dir", options->work_dir, "Where the clusters and the plot live");
  command->add_option("--seed", options->seed,
                      "Tasks, contractors and their errors follow from it");
  command->add_option("--contractors", options->contractors, "Simulated contractors");
  command->add_option("--seconds", *budget, "Time for both passes");
  command->add_flag("--quick", *quick, "A fifth of everything; its figures bind nothing");
}

}  // namespace fairlead::cli
