// ./dev bench replay: the product's choice and the baselines on public crowd sets, and the marks
// that the default policy must reach. Every figure is a mean over seeds with its 95 % interval.
// Exits 1 where a mark is missed, 2 where the data is not there.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "scheduler/cli/replay_files.h"
#include "scheduler/dispatch/choice/choice_policy.h"
#include "scheduler/replay/replay.h"
#include "tests/bench/marks.h"

namespace fairlead {
namespace {

using replay::ReplayOptions;
using replay::ReplayOutcome;
using replay::ReplaySummary;

constexpr double kAnswers = 3;
constexpr double kTarget = 0.95;
constexpr double kStopBudget = 5;  // Answers a task in the calibration runs.

class Bench {
 public:
  Bench(std::string data, int seeds, const dispatch::Policy& formula)
      : data_(std::move(data)), seeds_(seeds), formula_(formula) {}

  bool Run(const std::set<std::string>& parts, const std::string& json) {
    if (parts.count("policies") > 0) Policies();
    if (parts.count("ablations") > 0) Ablations();
    if (parts.count("budgets") > 0) Budgets();
    if (parts.count("calibration") > 0) Calibration();
    const bool met = marks_.Print();
    const absl::Status written = json.empty() ? absl::OkStatus() : marks_.WriteJson(json);
    if (!written.ok()) Die(written);
    return met;
  }

 private:
  ReplaySummary Play(const std::string& set, const dispatch::ChoicePolicy& policy,
                     const ReplayOptions& options, int seeds) {
    auto found = sets_.find(set);
    if (found == sets_.end()) {
      auto files = cli::ReadReplayFiles(absl::StrCat(data_, "/", set));
      if (!files.ok()) Die(files.status());
      found = sets_.emplace(set, std::move(files->set)).first;
    }
    std::vector<ReplayOutcome> outcomes;
    for (int seed = 1; seed <= seeds; ++seed) {
      auto outcome = replay::RunReplay(found->second, policy, options, static_cast<uint64_t>(seed));
      if (!outcome.ok()) Die(outcome.status());
      outcomes.push_back(*outcome);
    }
    return replay::Summarise(outcomes);
  }

  ReplaySummary PlayFormula(const std::string& set, const dispatch::Policy& formula,
                            const ReplayOptions& options) {
    return Play(set, **dispatch::MakeChoicePolicy("default", formula), options, seeds_);
  }

  [[noreturn]] static void Die(const absl::Status& status) {
    std::cerr << "error: " << status << "\nset FAIRLEAD_SHARED, or --data, to the crowd sets\n";
    std::exit(2);
  }

  double Interval(const ReplaySummary& s, int seeds) const {
    return 196 * s.accuracy_sd / std::sqrt(seeds);
  }

  void Record(const std::string& set, const std::string& name, const std::string& metric,
              double value, const char* unit) {
    if (std::isfinite(value)) marks_.Record(set + "/" + name, metric, value, unit);
  }

  void Row(const std::string& set, const std::string& name, const ReplaySummary& s, int seeds) {
    const double seconds = s.mean.seconds_per_label;
    std::printf("%-12s %-14s %5.2f  %5.2f ± %.2f %%  %.3f  %5.1f %%  %6s\n", set.c_str(),
                name.c_str(), s.mean.answers_per_task, 100 * s.mean.accuracy, Interval(s, seeds),
                s.mean.gini, 100 * s.mean.starvation,
                std::isfinite(seconds) ? absl::StrFormat("%.1f", seconds).c_str() : "-");
    std::fflush(stdout);
    Record(set, name, "accuracy", 100 * s.mean.accuracy, "%");
    Record(set, name, "accuracy_interval", Interval(s, seeds), "%");
    Record(set, name, "gini", s.mean.gini, "1");
    Record(set, name, "starvation", 100 * s.mean.starvation, "%");
    Record(set, name, "seconds_per_label", s.mean.seconds_per_label, "s");
    Record(set, name, "answers_per_task", s.mean.answers_per_task, "1");
  }

  static void Head(const char* title) {
    std::printf("\n%s\n%-12s %-14s %5s  %s\n", title, "set", "policy", "ans.",
                "accuracy          gini   starved  s/label");
  }

  void Policies() {
    Head("Policies at 3 answers a task");
    const std::map<std::string, double> marks = {
        {"snow_rte", 91.0}, {"sp_amt", 93.4}, {"cf_amt", 81.6}};
    const int few = std::min(seeds_, 8);  // The baselines only show the distance.
    for (const auto& [set, mark] : marks) {
      for (const std::string& name : dispatch::ChoicePolicyNames()) {
        const bool own = name == "default";
        const auto policy = *dispatch::MakeChoicePolicy(name, formula_);
        const ReplaySummary s = Play(set, *policy, {kAnswers, 0, 0}, own ? seeds_ : few);
        Row(set, name, s, own ? seeds_ : few);
        if (own) {
          marks_.Check(set, "accuracy at 3 answers", 100 * s.mean.accuracy, "%",
                       absl::StrFormat(">= %.1f", mark), 100 * s.mean.accuracy >= mark);
        }
      }
    }
  }

  void Ablations() {
    Head("Fair share and time, each taken out");
    for (const std::string set : {"cf_amt", "sp_amt"}) {
      dispatch::Policy unfair = formula_, timeless = formula_;
      unfair.fair = 0;
      timeless.time = 0;
      const ReplaySummary own = PlayFormula(set, formula_, {kAnswers, 0, 0});
      const ReplaySummary greedy = PlayFormula(set, unfair, {kAnswers, 0, 0});
      const ReplaySummary slow = PlayFormula(set, timeless, {kAnswers, 0, 0});
      Row(set, "default", own, seeds_);
      Row(set, "no fair share", greedy, seeds_);
      Row(set, "no time", slow, seeds_);
      marks_.Check(set, "Gini", own.mean.gini, "1", "<= 0.65", own.mean.gini <= 0.65);
      const double lost = 100 * (greedy.mean.accuracy - own.mean.accuracy);
      marks_.Check(set, "accuracy lost to fair share", lost, "points", "<= 1", lost <= 1);
      const double ratio = own.mean.seconds_per_label / slow.mean.seconds_per_label;
      marks_.Check(set, "seconds over those without time", ratio, "1", "<= 0.6", ratio <= 0.6);
    }
  }

  // The fewest answers a task, in steps of a tenth, that reach the accuracy.
  void Budgets() {
    Head("Answers a task that an accuracy takes");
    struct Goal {
      const char* set;
      double accuracy, mark;
    };
    for (const Goal& goal : {Goal{"snow_rte", 92, 3.6}, Goal{"sp_amt", 93.5, 2.8}}) {
      double answers = goal.mark - 1;
      ReplaySummary s;
      for (; answers <= goal.mark + 1; answers += 0.1) {
        s = PlayFormula(goal.set, formula_, {answers, 0, 0});
        if (100 * s.mean.accuracy >= goal.accuracy) break;
      }
      Row(goal.set, "default", s, seeds_);
      marks_.Check(goal.set, absl::StrFormat("answers a task to %.1f %%", goal.accuracy), answers,
                   "1", absl::StrFormat("<= %.1f", goal.mark), answers <= goal.mark + 1e-9);
    }
  }

  void Calibration() {
    std::printf(
        "\nCalibration at stop: half of the truth as gold, target 0.95, at most %.0f "
        "answers a task in the mean\n%-12s stopped   answers  stated    realised  gap\n",
        kStopBudget, "set");
    double stated = 0, realised = 0;
    int64_t stops = 0;
    for (const std::string set : {"snow_rte", "snow_wsd", "cf", "cf_amt", "sp_amt", "ms",
                                  "zencrowd_in", "barzan", "adult2"}) {
      const ReplaySummary s = PlayFormula(set, formula_, {kStopBudget, 0.5, kTarget});
      const ReplayOutcome& m = s.mean;
      if (m.stopped == 0) {
        std::printf("%-12s none\n", set.c_str());
        continue;
      }
      const double gap = 100 * (m.realised_at_stop - m.stated_at_stop);
      // Seeds share tasks, so the interval is that of one run, not of all.
      const double n = static_cast<double>(m.stopped) / seeds_;
      const double half = 257.6 * std::sqrt(m.stated_at_stop * (1 - m.stated_at_stop) / n);
      std::printf("%-12s %5.1f %%  %6.2f  %6.2f %%  %6.2f %%  %+.2f (± %.2f)\n", set.c_str(),
                  100 * m.stopped_share, m.answers_per_task, 100 * m.stated_at_stop,
                  100 * m.realised_at_stop, gap, half);
      std::fflush(stdout);
      Record(set, "stop 0.95", "answers_per_task", m.answers_per_task, "1");
      Record(set, "stop 0.95", "stopped_share", m.stopped_share, "1");
      marks_.Check(set, "realised less stated at stop", gap, "points",
                   absl::StrFormat("within %.2f", half), std::abs(gap) <= half);
      const auto weight = static_cast<double>(m.stopped);
      stated += m.stated_at_stop * weight;
      realised += m.realised_at_stop * weight;
      stops += m.stopped;
    }
    const double gap = 100 * (realised - stated) / static_cast<double>(std::max<int64_t>(1, stops));
    marks_.Check("pooled", "realised less stated at stop", gap, "points", "within 2",
                 stops > 0 && std::abs(gap) <= 2);
  }

  const std::string data_;
  const int seeds_;
  const dispatch::Policy formula_;
  std::map<std::string, replay::ReplaySet> sets_;
  bench::Marks marks_{"replay"};
};

int Main(int argc, char** argv) {
  const char* shared = std::getenv("FAIRLEAD_SHARED");
  std::string data =
      absl::StrCat(shared != nullptr ? shared : FAIRLEAD_SOURCE_DIR "/../shared", "/data/crowd");
  std::string json;
  int seeds = 20;
  std::vector<std::string> parts = {"policies", "ablations", "budgets", "calibration"};
  std::vector<std::string> weights;
  CLI::App app{"The default choice against baselines and marks on public crowd sets"};
  app.footer("Example:\n  ./dev bench replay --seeds 20 --json replay.jsonl");
  app.add_option("--data", data, "Folder with the crowd sets")->capture_default_str();
  app.add_option("--seeds", seeds, "Runs of each case")->capture_default_str();
  app.add_option("--weight", weights, "NAME=VALUE in the default's formula: to tune it");
  app.add_option("--json", json, "Write one JSON object a line");
  app.add_option("--parts", parts, "Of policies, ablations, budgets, calibration")
      ->delimiter(',')
      ->check(CLI::IsMember({"policies", "ablations", "budgets", "calibration"}));
  CLI11_PARSE(app, argc, argv);
  dispatch::Policy formula = dispatch::DefaultPolicy();
  for (const std::string& weight : weights) {
    if (const absl::Status status = dispatch::SetWeight(weight, formula); !status.ok()) {
      std::cerr << "error: " << status.message() << "\n";
      return 2;
    }
  }
  const bool met = Bench(data, std::max(seeds, 1), formula).Run({parts.begin(), parts.end()}, json);
  return met ? 0 : 1;
}

}  // namespace
}  // namespace fairlead

int main(int argc, char** argv) { return fairlead::Main(argc, argv); }
