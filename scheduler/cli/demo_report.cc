#include "scheduler/cli/demo_report.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/plot/svg_plot.h"
#include "scheduler/cli/print.h"

namespace fairlead::cli {
namespace {

constexpr int kMinSubmitted = 2200;
constexpr int kMinPromotions = 3;
constexpr double kMinLabelAccuracy = 0.97;
constexpr double kMaxLastToFirst = 0.8;
constexpr double kStandardErrors = 3;
constexpr int kMinHeldOut = 500;
constexpr absl::Duration kMaxSeconds = absl::Seconds(300);
constexpr size_t kPlotBin = 100;  // Tasks a point.

// Above one half by three standard errors of a share under one half (binomial).
double RewardBound(int64_t pairs) {
  return pairs == 0 ? 1 : 0.5 + kStandardErrors * std::sqrt(0.25 / static_cast<double>(pairs));
}

double Rounded(double value) { return std::round(value * 1e4) / 1e4; }

PlotSeries AnswersSeries(const std::string& name, const std::vector<DemoItem>& items) {
  PlotSeries series;
  series.name = name;
  for (size_t begin = 0; begin < items.size(); begin += kPlotBin) {
    const size_t end = std::min(items.size(), begin + kPlotBin);
    int64_t answers = 0;
    int64_t count = 0;
    for (size_t i = begin; i < end; ++i) {
      answers += items[i].completed ? items[i].answers : 0;
      count += items[i].completed ? 1 : 0;
    }
    if (count == 0) continue;
    series.points.emplace_back(static_cast<double>(end),
                               static_cast<double>(answers) / static_cast<double>(count));
  }
  return series;
}

std::string Number(double value) { return absl::StrFormat("%.3f", value); }

}  // namespace

nlohmann::ordered_json DemoJson(const DemoPass& with_models, const DemoPass& without,
                                absl::Duration total) {
  std::vector<double> exact_match;
  for (const double value : with_models.exact_match_by_version) {
    exact_match.push_back(Rounded(value));
  }
  return {{"tasks_submitted", with_models.submitted},
          {"tasks_completed", with_models.completed},
          {"tasks_lost", with_models.submitted - with_models.completed},
          {"label_accuracy", Rounded(LabelAccuracy(with_models.items))},
          {"answers_per_task_first_fifth", Rounded(AnswersOfFifth(with_models.items, 0))},
          {"answers_per_task_last_fifth", Rounded(AnswersOfFifth(with_models.items, 4))},
          {"answers_per_task_last_fifth_prelabels_off", Rounded(AnswersOfFifth(without.items, 4))},
          {"versions_promoted", with_models.exact_match_by_version.size()},
          {"exact_match_by_version", exact_match},
          {"reward_pair_accuracy", Rounded(with_models.reward_pair_accuracy)},
          {"seconds", std::round(absl::ToDoubleSeconds(total) * 10) / 10}};
}

std::vector<DemoBound> CheckBounds(const DemoPass& with_models, const DemoPass& without,
                                   absl::Duration total) {
  const double first = AnswersOfFifth(with_models.items, 0);
  const double last = AnswersOfFifth(with_models.items, 4);
  const double last_off = AnswersOfFifth(without.items, 4);
  const double accuracy = LabelAccuracy(with_models.items);
  const double reward_bound = RewardBound(with_models.reward_pairs);
  const int64_t lost = with_models.submitted - with_models.completed;
  const int64_t lost_off = without.submitted - without.completed;
  const int64_t versions = static_cast<int64_t>(with_models.exact_match_by_version.size());
  return {
      {"tasks submitted", absl::StrCat(with_models.submitted), absl::StrCat("≥ ", kMinSubmitted),
       with_models.submitted >= kMinSubmitted},
      {"tasks lost", absl::StrCat(lost), "0", lost == 0},
      {"tasks lost, prelabels off", absl::StrCat(lost_off), "0", lost_off == 0},
      {"ends or receipts contradicted",
       absl::StrCat(with_models.contradicted + without.contradicted), "0",
       with_models.contradicted + without.contradicted == 0},
      {"label accuracy", Number(accuracy), absl::StrCat("≥ ", kMinLabelAccuracy),
       accuracy >= kMinLabelAccuracy},
      {"models promoted", absl::StrCat(versions), absl::StrCat("≥ ", kMinPromotions),
       versions >= kMinPromotions},
      {"answers a task, last fifth", Number(last),
       absl::StrFormat("< %.3f (%.1f × first fifth)", kMaxLastToFirst * first, kMaxLastToFirst),
       last < kMaxLastToFirst * first},
      {"answers a task, last fifth", Number(last),
       absl::StrFormat("< %.3f (prelabels off)", last_off), last < last_off},
      {"reward pair accuracy",
       absl::StrFormat("%.3f on %d", with_models.reward_pair_accuracy, with_models.reward_pairs),
       absl::StrFormat("> %.3f", reward_bound),
       with_models.reward_pairs >= kMinHeldOut && with_models.reward_pair_accuracy > reward_bound},
      {"seconds", absl::StrFormat("%.1f", absl::ToDoubleSeconds(total)),
       absl::StrCat("≤ ", absl::ToInt64Seconds(kMaxSeconds)), total <= kMaxSeconds}};
}

std::string DemoTable(const DemoPass& with_models, const DemoPass& without, absl::Duration total,
                      bool binding) {
  std::vector<std::vector<std::string>> rows = {{"", "WITH MODELS", "PRELABELS OFF"}};
  const auto row = [&rows](const std::string& what, const std::string& on, const std::string& off) {
    rows.push_back({what, on, off});
  };
  const auto both = [&](const std::string& what, auto figure) {
    row(what, figure(with_models), figure(without));
  };
  both("tasks completed of submitted",
       [](const DemoPass& pass) { return absl::StrCat(pass.completed, " of ", pass.submitted); });
  both("OCR labels equal to the truth",
       [](const DemoPass& pass) { return Number(LabelAccuracy(pass.items)); });
  both("pairs labelled as the truth",
       [](const DemoPass& pass) { return absl::StrCat(pass.pairs_right); });
  for (int fifth = 0; fifth < 5; ++fifth) {
    both(absl::StrCat("answers a task, fifth ", fifth + 1),
         [fifth](const DemoPass& pass) { return Number(AnswersOfFifth(pass.items, fifth)); });
  }
  both("answers paid for, gold included",
       [](const DemoPass& pass) { return absl::StrCat(pass.annotations); });
  both("paid", [](const DemoPass& pass) { return FormatMoney(pass.paid_micros, "USD"); });
  both("seconds", [](const DemoPass& pass) {
    return absl::StrFormat("%.1f", absl::ToDoubleSeconds(pass.seconds));
  });
  row("exact match by version",
      absl::StrJoin(with_models.exact_match_by_version, " ",
                    [](std::string* out, double value) { absl::StrAppend(out, Number(value)); }),
      "");
  row("versions refused by the gate", absl::StrCat(with_models.versions_refused), "");
  std::string text = absl::StrCat("\n", FormatTable(rows), "\n");
  rows = {{"BOUND", "VALUE", "MUST BE", ""}};
  for (const DemoBound& bound : CheckBounds(with_models, without, total)) {
    rows.push_back({bound.what, bound.value, bound.bound,
                    !binding ? "not binding" : (bound.reached ? "reached" : "MISSED")});
  }
  absl::StrAppend(&text, FormatTable(rows));
  return text;
}

absl::StatusOr<std::string> DemoPlot(const DemoPass& with_models, const DemoPass& without) {
  PlotPanel versions;
  versions.title = "Exact match by model version, on one frozen set";
  versions.x_label = "promoted version";
  versions.y_label = "exact match";
  PlotSeries exact;
  for (size_t i = 0; i < with_models.exact_match_by_version.size(); ++i) {
    exact.points.emplace_back(static_cast<double>(i + 1), with_models.exact_match_by_version[i]);
  }
  versions.series.push_back(exact);
  PlotPanel answers;
  answers.title = "Human answers a task, by order of submission";
  answers.x_label = "OCR tasks submitted";
  answers.y_label = "answers a task";
  answers.series.push_back(AnswersSeries("with models", with_models.items));
  answers.series.push_back(AnswersSeries("training and prelabels off", without.items));
  return RenderSvg({versions, answers});
}

}  // namespace fairlead::cli
