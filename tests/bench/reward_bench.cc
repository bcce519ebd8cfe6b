// ./dev bench reward: the reward models on human preferences, beside their rivals, in one run.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "tests/bench/marks.h"
#include "tests/bench/preference_sets.h"
#include "tests/bench/reward_transformer.h"
#include "tests/bench/tfidf_baseline.h"
#include "trainer/reward/evaluate.h"
#include "trainer/reward/losses.h"
#include "trainer/train.h"

namespace fairlead::bench {
namespace {

using trainer::PreferenceItem;
using trainer::RewardMetrics;
using trainer::RewardModel;
using trainer::RewardTrainOptions;
using trainer::ScoredPair;
using Items = std::vector<PreferenceItem>;

absl::StatusOr<std::unique_ptr<RewardModel>> Train(const Items& items,
                                                   const RewardTrainOptions& options,
                                                   const std::string& path) {
  RETURN_IF_ERROR(trainer::TrainReward(items, options, path).status());
  return RewardModel::Load(path);
}

std::vector<ScoredPair> Scored(const RewardModel& model, const Items& items) {
  std::vector<ScoredPair> pairs;
  for (const PreferenceItem& item : items) {
    std::vector<double> scores;
    for (const std::string& response : item.responses) {
      scores.push_back(model.Score(item.prompt, response));
    }
    for (const ScoredPair& pair : trainer::PairsOf(item, scores)) pairs.push_back(pair);
  }
  return pairs;
}

bool SlopeHoldsOne(const RewardMetrics& metrics) {
  return std::abs(metrics.calibration_slope - 1) <= 1.96 * metrics.calibration_slope_error;
}

// Ours against the rival, pair by pair.
void Compare(const std::vector<ScoredPair>& ours, const std::vector<ScoredPair>& rival,
             Marks& marks) {
  std::vector<double> right, likelihood;
  std::vector<uint32_t> block;
  for (size_t i = 0; i < ours.size(); ++i) {
    right.push_back(100 * (trainer::RightOf(ours[i].margin, ours[i].target) -
                           trainer::RightOf(rival[i].margin, rival[i].target)));
    likelihood.push_back(trainer::LogisticLoss(ours[i].margin, ours[i].target) -
                         trainer::LogisticLoss(rival[i].margin, rival[i].target));
    block.push_back(static_cast<uint32_t>(i));
  }
  const trainer::Interval points = trainer::BootstrapMean(right, block, 1);
  const trainer::Interval nats = trainer::BootstrapMean(likelihood, block, 2);
  marks.Check("harmless", "accuracy − TF-IDF's", points.mean, "points",
              absl::StrFormat("≥ −0.5 (95 %%: %+.2f to %+.2f)", points.low, points.high),
              points.mean >= -0.5);
  marks.Check("harmless", "NLL − TF-IDF's", nats.mean, "nats",
              absl::StrFormat("≤ 0.002 (95 %%: %+.4f to %+.4f)", nats.low, nats.high),
              nats.mean <= 0.002);
}

absl::Status Harmless(const std::string& folder, const Items& train, const Items& dev,
                      Marks& marks) {
  ASSIGN_OR_RETURN(const auto model, Train(train, {}, folder + "/harmless"));
  const std::vector<ScoredPair> ours = Scored(*model, dev);
  std::vector<std::pair<std::string, std::string>> texts;
  for (const auto& item : train) texts.emplace_back(item.responses[0], item.responses[1]);
  const TfidfLogistic baseline(texts);
  std::vector<ScoredPair> rival = ours;
  for (size_t i = 0; i < dev.size(); ++i) {
    rival[i].margin = baseline.Margin(dev[i].responses[0], dev[i].responses[1]);
  }
  const RewardMetrics metrics = trainer::Measure(ours, false);
  const RewardMetrics other = trainer::Measure(rival, false);
  marks.Figure("harmless", "accuracy", 100 * metrics.pair_accuracy, "%");
  marks.Figure("harmless", "accuracy of TF-IDF unigrams", 100 * other.pair_accuracy, "%");
  marks.Figure("harmless", "accuracy of \"the longer\"", 100 * metrics.length_only_accuracy, "%");
  marks.Figure("harmless", "NLL", metrics.negative_log_likelihood, "nats");
  marks.Figure("harmless", "NLL of TF-IDF unigrams", other.negative_log_likelihood, "nats");
  marks.Figure("harmless", "ECE", metrics.calibration_error, "");
  Compare(ours, rival, marks);
  marks.Check("harmless", "calibration slope", metrics.calibration_slope, "",
              absl::StrFormat("1 within ±%.2f", 1.96 * metrics.calibration_slope_error),
              SlopeHoldsOne(metrics));
  RewardTrainOptions options;
  options.model = "ensemble";
  ASSIGN_OR_RETURN(const auto ensemble, Train(train, options, folder + "/ensemble"));
  const RewardMetrics of_five = ensemble->Evaluate(dev);
  marks.Figure("harmless", "accuracy of the ensemble", 100 * of_five.pair_accuracy, "%");
  marks.Figure("harmless", "NLL of the ensemble", of_five.negative_log_likelihood, "nats");
  options.model = "linear";
  options.drop_length = true;
  ASSIGN_OR_RETURN(const auto plain, Train(train, options, folder + "/plain"));
  marks.Figure("harmless", "accuracy, length dropped", 100 * plain->Evaluate(dev).pair_accuracy,
               "%");
  return absl::OkStatus();
}

absl::Status TenRounds(const std::string& folder, const Items& train, const Items& dev,
                       Marks& marks) {
  ASSIGN_OR_RETURN(const auto once, RewardModel::Load(folder + "/harmless"));
  RewardTrainOptions options;
  for (size_t round = 1; round <= 10; ++round) {
    const Items so_far(train.begin(),
                       train.begin() + static_cast<std::ptrdiff_t>(train.size() * round / 10));
    const std::string path = absl::StrCat(folder, "/round-", round);
    ASSIGN_OR_RETURN(const auto model, Train(so_far, options, path));
    options.warm_start = path;
    if (round < 10) continue;
    const double ended = 100 * model->Evaluate(dev).pair_accuracy;
    const double whole = 100 * once->Evaluate(dev).pair_accuracy;
    marks.Figure("ten rounds", "accuracy", ended, "%");
    marks.Check("ten rounds", "difference from one fit", ended - whole, "points", "within 0.5",
                std::abs(ended - whole) <= 0.5);
  }
  return absl::OkStatus();
}

absl::StatusOr<RewardMetrics> FiveFolds(const std::string& folder, const Items& items,
                                        bool as_pairs) {
  RewardTrainOptions options;
  options.rankings_as_pairs = as_pairs;
  std::vector<ScoredPair> pairs;
  for (uint64_t fold = 0; fold < 5; ++fold) {
    Items train, held;
    for (const PreferenceItem& item : items) {
      (StableHash64(absl::StrCat("bench/", item.prompt)) % 5 == fold ? held : train)
          .push_back(item);
    }
    ASSIGN_OR_RETURN(const auto model, Train(train, options, folder + "/fold"));
    for (const ScoredPair& pair : Scored(*model, held)) pairs.push_back(pair);
  }
  return trainer::Measure(pairs, false);
}

absl::Status Rankings(const std::string& folder, Marks& marks) {
  ASSIGN_OR_RETURN(const Items items, RankedAnswers());
  ASSIGN_OR_RETURN(const RewardMetrics whole, FiveFolds(folder, items, false));
  ASSIGN_OR_RETURN(const RewardMetrics pairs, FiveFolds(folder, items, true));
  marks.Figure("ranked answers", "accuracy of \"the longer\"", 100 * whole.length_only_accuracy,
               "%");
  marks.Figure("ranked answers", "NLL", whole.negative_log_likelihood, "nats");
  marks.Check("ranked answers", "5-fold pair accuracy", 100 * whole.pair_accuracy, "%", "≥ 55",
              whole.pair_accuracy >= 0.55);
  marks.Check("ranked answers", "Plackett–Luce − pairs",
              100 * (whole.pair_accuracy - pairs.pair_accuracy), "points", "≥ 0",
              whole.pair_accuracy >= pairs.pair_accuracy);
  return absl::OkStatus();
}

absl::Status Safety(const std::string& folder, Marks& marks) {
  ASSIGN_OR_RETURN(const Items train, SafetyReplies("train"));
  ASSIGN_OR_RETURN(const Items validation, SafetyReplies("val"));
  RewardTrainOptions options;
  options.axis = "safe";
  ASSIGN_OR_RETURN(const auto model, Train(train, options, folder + "/safe"));
  const RewardMetrics metrics = model->Evaluate(validation);
  marks.Check("safety", "accuracy", 100 * metrics.pair_accuracy, "%", "≥ 76",
              metrics.pair_accuracy >= 0.76);
  marks.Check("safety", "AUC", metrics.area_under_curve, "", "≥ 0.85",
              metrics.area_under_curve >= 0.85);
  marks.Check("safety", "calibration slope", metrics.calibration_slope, "",
              absl::StrFormat("1 within ±%.2f", 1.96 * metrics.calibration_slope_error),
              SlopeHoldsOne(metrics));
  return absl::OkStatus();
}

// 10,000 pairs: the training pairs, and each chosen reply against the next item's rejected one.
absl::Status Refit(const std::string& folder, const Items& train, Marks& marks) {
  Items doubled = train;
  for (size_t i = 0; i < train.size(); ++i) {
    PreferenceItem item = train[i];
    item.responses[1] = train[(i + 1) % train.size()].responses[1];
    doubled.push_back(item);
  }
  RewardTrainOptions options;
  options.warm_start = folder + "/harmless";
  const double start = CpuSeconds();
  RETURN_IF_ERROR(trainer::TrainReward(doubled, options, folder + "/refit").status());
  const double seconds = CpuSeconds() - start;
  marks.Check("refit", absl::StrCat(doubled.size(), " pairs"), seconds, "CPU s", "≤ 3",
              seconds <= 3);
  return absl::OkStatus();
}

absl::Status RunLinear(const std::string& folder, const Items& train, const Items& dev,
                       Marks& marks) {
  RETURN_IF_ERROR(Harmless(folder, train, dev, marks));
  RETURN_IF_ERROR(TenRounds(folder, train, dev, marks));
  RETURN_IF_ERROR(Refit(folder, train, marks));
  RETURN_IF_ERROR(Rankings(folder, marks));
  return Safety(folder, marks);
}

absl::Status Run(const std::string& json, const std::string& which, bool& met) {
  const absl::StatusOr<Items> train = HarmlessTrain();
  if (absl::IsNotFound(train.status())) {
    std::fprintf(stderr, "no preference sets in %s; FAIRLEAD_SHARED names their folder\n",
                 PreferenceFolder().c_str());
  }
  RETURN_IF_ERROR(train.status());
  ASSIGN_OR_RETURN(const Items dev, HarmlessDev());
  const auto folder = std::filesystem::temp_directory_path() / "fairlead-bench-reward";
  std::filesystem::create_directories(folder);
  Marks marks("reward");
  if (which != "transformer") RETURN_IF_ERROR(RunLinear(folder, *train, dev, marks));
  if (which != "linear") RETURN_IF_ERROR(MeasureTransformer(*train, dev, marks));
  std::filesystem::remove_all(folder);
  met = marks.Print();
  return json.empty() ? absl::OkStatus() : marks.WriteJson(json);
}

int Main(int argc, char** argv) {
  CLI::App app("Reward models on human preferences, beside their rivals");
  app.footer(
      "Exit codes: 0 all marks met, 1 a mark missed or an error.\n"
      "Example: ./dev bench reward --json reward.jsonl");
  std::string json;
  std::string which = "all";
  app.add_option("--case", which, "all, linear or transformer")
      ->check(CLI::IsMember({"all", "linear", "transformer"}))
      ->capture_default_str();
  app.add_option("--json", json, "Also write one JSON object a figure here");
  CLI11_PARSE(app, argc, argv);
  bool met = false;
  const absl::Status status = Run(json, which, met);
  if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return status.ok() && met ? 0 : 1;
}

}  // namespace
}  // namespace fairlead::bench

int main(int argc, char** argv) { return fairlead::bench::Main(argc, argv); }
