#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "scheduler/cli/demo_options.h"
#include "scheduler/cli/demo_report.h"
#include "scheduler/cli/demo_run.h"
#include "scheduler/cli/file.h"
#include "tests/bench/loop_bench.h"

namespace fairlead::bench {
namespace {

// Of 164 people with 20 answers or more on textual entailment (snow_rte): 0.837 ± 0.122.
constexpr double kAccuracy = 0.84;
constexpr double kAccuracySd = 0.12;
constexpr double kMostAnswers = 0.70;  // Of those without models.
constexpr double kLeastRight = 0.99;
constexpr int kDraws = 2000;
constexpr uint32_t kBootstrapPurpose = 0x10AF;

double MeanAnswers(const std::vector<cli::DemoItem>& items) {
  double answers = 0, count = 0;
  for (const cli::DemoItem& item : items) {
    answers += item.completed ? item.answers : 0;
    count += item.completed ? 1 : 0;
  }
  return count > 0 ? answers / count : 0;
}

struct Ratio {
  double value, low, high;
};

// The ratio of mean answers with its 95 % interval: the percentiles of tasks drawn anew.
Ratio AnswersRatio(const std::vector<cli::DemoItem>& with,
                   const std::vector<cli::DemoItem>& without, uint64_t seed) {
  PhiloxStream stream(seed, 0, 0, kBootstrapPurpose);
  const size_t count = std::min(with.size(), without.size());
  std::vector<double> ratios;
  for (int draw = 0; draw < kDraws; ++draw) {
    double few = 0, many = 0;
    for (size_t i = 0; i < count; ++i) {
      const size_t k = stream.Below(static_cast<uint32_t>(count));
      if (!with[k].completed || !without[k].completed) continue;
      few += with[k].answers;
      many += without[k].answers;
    }
    ratios.push_back(few / many);
  }
  std::sort(ratios.begin(), ratios.end());
  return {MeanAnswers(with) / MeanAnswers(without), ratios[kDraws / 40],
          ratios[kDraws - 1 - kDraws / 40]};
}

absl::StatusOr<cli::DemoPass> Pass(const cli::DemoOptions& options, const cli::DemoTasks& tasks,
                                   bool models) {
  cli::DemoRun run(options, tasks, models, models ? "with-models" : "without",
                   absl::Now() + options.budget);
  return run.Run();
}

void Report(const cli::DemoPass& pass, const char* name, Marks& marks) {
  marks.Figure("answers", absl::StrCat("answers a task, ", name), MeanAnswers(pass.items), "");
  marks.Figure("answers", absl::StrCat("… last fifth, ", name), cli::AnswersOfFifth(pass.items, 4),
               "");
  const double right = 100 * cli::LabelAccuracy(pass.items);
  marks.Check("answers", absl::StrCat("labels right, ", name), right, "%", "≥ 99",
              right >= 100 * kLeastRight);
  marks.Figure("answers", absl::StrCat("tasks completed, ", name),
               static_cast<double>(pass.completed), "");
  marks.Figure("answers", absl::StrCat("wall, ", name), absl::ToDoubleSeconds(pass.seconds), "s");
}

}  // namespace

absl::Status BenchAnswers(const LoopOptions& options, Marks& marks) {
  cli::DemoOptions demo;
  demo.work_dir = options.work_folder;
  demo.images = options.images;
  demo.ocr_tasks = options.tasks;
  demo.accuracy = kAccuracy;
  demo.accuracy_sd = kAccuracySd;
  demo.seed = options.seed;
  demo.budget = absl::Seconds(options.seconds);
  ASSIGN_OR_RETURN(const cli::DemoTasks tasks, cli::LoadDemoTasks(demo));
  const std::filesystem::path folder(options.work_folder);
  for (const char* old : {"with-models", "without"}) std::filesystem::remove_all(folder / old);
  ASSIGN_OR_RETURN(const cli::DemoPass with, Pass(demo, tasks, true));
  ASSIGN_OR_RETURN(const cli::DemoPass without, Pass(demo, tasks, false));
  Report(without, "no models", marks);
  Report(with, "models", marks);
  const Ratio ratio = AnswersRatio(with.items, without.items, options.seed);
  marks.Check("answers", "models / no models", ratio.value, "",
              absl::StrFormat("≤ 0.70 (95 %%: %.3f to %.3f)", ratio.low, ratio.high),
              ratio.value <= kMostAnswers);
  marks.Figure("answers", "champions", static_cast<double>(with.exact_match_by_version.size()), "");
  std::vector<double> seconds = with.decision_seconds;
  if (!seconds.empty()) {
    std::nth_element(seconds.begin(), seconds.begin() + static_cast<ptrdiff_t>(seconds.size() / 2),
                     seconds.end());
    marks.Figure("answers", "label to decision, p50", seconds[seconds.size() / 2], "s");
  }
  ASSIGN_OR_RETURN(const std::string plot, cli::DemoPlot(with, without));
  const std::string file = (folder / "loop.svg").string();
  RETURN_IF_ERROR(cli::WriteFile(file, plot));
  std::fprintf(stderr, "plot: %s\n", file.c_str());
  return absl::OkStatus();
}

}  // namespace fairlead::bench
