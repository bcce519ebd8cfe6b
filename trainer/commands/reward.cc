// fairlead-trainer train reward | score | evaluate reward.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/commands/commands.h"
#include "trainer/data/preference_file.h"

namespace fairlead::trainer {
namespace {

using Json = nlohmann::json;

Json ToJson(const RewardMetrics& m) {
  Json json = {{"count", m.count},
               {"accuracy", m.pair_accuracy},
               {"negative_log_likelihood", m.negative_log_likelihood},
               {"length_only_accuracy", m.length_only_accuracy},
               {"calibration_error", m.calibration_error},
               {"calibration_slope", m.calibration_slope},
               {"calibration_slope_error", m.calibration_slope_error}};
  if (m.area_under_curve > 0) json["area_under_curve"] = m.area_under_curve;
  return json;
}

void PrintMetrics(const char* name, const RewardMetrics& m) {
  const bool single = m.area_under_curve > 0;
  std::fprintf(stdout, "%s: %lld %s, %.2f %% right, NLL %.4f, ECE %.3f, slope %.2f ± %.2f, ", name,
               static_cast<long long>(m.count), single ? "responses" : "pairs",
               100 * m.pair_accuracy, m.negative_log_likelihood, m.calibration_error,
               m.calibration_slope, 1.96 * m.calibration_slope_error);
  if (single) {
    std::fprintf(stdout, "AUC %.3f\n", m.area_under_curve);
  } else {
    std::fprintf(stdout, "\"the longer\" %.2f %%\n", 100 * m.length_only_accuracy);
  }
}

void PrintSetAside(const PreferenceSet& set) {
  for (const auto& [reason, count] : set.set_aside) {
    std::fprintf(stderr, "set aside: %lld × %s\n", static_cast<long long>(count), reason.c_str());
  }
  for (const SetAside& one : set.first_set_aside) {
    std::fprintf(stderr, "  %s:%lld: %s\n", one.file.c_str(), static_cast<long long>(one.line),
                 one.message.c_str());
  }
}

// Which responses a model does not explain for their length.
std::string TooLong(const RewardModel& model) {
  if (model.longest_explained() == SIZE_MAX) return "";
  return absl::StrCat(", or of more than ", model.longest_explained(),
                      " (a transformer is asked again without each word)");
}

// One answer line: the scores, or why there are none.
Json ScoreLine(const RewardModel& model, const std::string& text, size_t explain,
               std::string& reason, int64_t& unexplained) {
  const absl::StatusOr<PreferenceLine> line = ParseTexts(text);
  if (!line.ok()) {
    reason = ReasonOf(line.status());
    return {{"error", absl::StrCat(reason, ": ", line.status().message())}};
  }
  const PreferenceItem& item = line->item;
  std::vector<double> scores;
  for (const std::string& response : item.responses) {
    scores.push_back(model.Score(item.prompt, response));
  }
  Json out;
  if (line->form == LineForm::kPair) {
    out = {{"score_chosen", scores[0]}, {"score_rejected", scores[1]}};
  } else if (line->form == LineForm::kList) {
    out = {{"scores", scores}};
  } else {
    out = {{"score", scores[0]}};
  }
  if (explain == 0) return out;
  Json why = Json::array();
  for (const std::string& response : item.responses) {
    Json words = Json::array();
    const std::vector<WordWeight> weights = model.Explain(item.prompt, response, explain);
    for (const WordWeight& word : weights) words.push_back({word.word, word.weight});
    if (weights.empty() && !response.empty()) ++unexplained;
    why.push_back(std::move(words));
  }
  out["why"] = line->form == LineForm::kSingle ? why[0] : why;
  return out;
}

}  // namespace

absl::Status RunTrainReward(const RewardTrainCommand& command) {
  ASSIGN_OR_RETURN(const PreferenceSet set, ReadPreferences(command.files));
  PrintSetAside(set);
  std::error_code error;
  std::filesystem::create_directories(command.model_folder, error);
  if (error) {
    return FieldError("out", absl::StrCat(command.model_folder, ": ", error.message()));
  }
  const std::string path = command.model_folder + "/" + kModelFile;
  ASSIGN_OR_RETURN(const RewardTrainResult result, TrainReward(set.items, command.options, path));
  if (command.json) {
    Json json = {{"model", path},
                 {"kind", result.model},
                 {"set_aside", set.set_aside},
                 {"cross_fold", ToJson(result.cross_fold)},
                 {"metrics", result.metrics}};
    if (result.validation.count > 0) json["validation"] = ToJson(result.validation);
    if (result.test.has_value()) json["test"] = ToJson(*result.test);
    std::fprintf(stdout, "%s\n", json.dump().c_str());
    return absl::OkStatus();
  }
  if (result.cross_fold.count > 0) PrintMetrics("held-out folds", result.cross_fold);
  if (result.validation.count > 0) PrintMetrics("validation", result.validation);
  if (result.test.has_value()) PrintMetrics("test", *result.test);
  std::fprintf(stdout, "%s  (%s, %.0f items, %.1f s)\n", path.c_str(), result.model.c_str(),
               result.metrics.at("train.count"), result.metrics.at("seconds"));
  return absl::OkStatus();
}

absl::Status RunScore(const ScoreCommand& command) {
  ASSIGN_OR_RETURN(const auto model, RewardModel::Load(command.model_folder + "/" + kModelFile));
  ASSIGN_OR_RETURN(const std::vector<std::string> lines, ReadLines(command.input));
  std::string answers;
  std::map<std::string, int64_t> errors;
  int64_t failed = 0, unexplained = 0;
  for (const std::string& line : lines) {
    std::string reason;
    const Json answer = ScoreLine(*model, line, command.explain, reason, unexplained);
    absl::StrAppend(&answers, answer.dump(-1, ' ', false, Json::error_handler_t::replace), "\n");
    if (reason.empty()) continue;
    ++errors[reason];
    ++failed;
  }
  RETURN_IF_ERROR(WriteFileAtomically(command.output, answers));
  if (unexplained > 0) {
    std::fprintf(stderr, "not explained: %lld responses without words%s\n",
                 static_cast<long long>(unexplained), TooLong(*model).c_str());
  }
  const auto scored = static_cast<int64_t>(lines.size()) - failed;
  if (command.json) {
    const Json json = {{"lines", lines.size()}, {"scored", scored}, {"errors", errors}};
    std::fprintf(stdout, "%s\n", json.dump().c_str());
    return absl::OkStatus();
  }
  std::fprintf(stdout, "%s: %lld lines scored, %lld errors\n", command.output.c_str(),
               static_cast<long long>(scored), static_cast<long long>(failed));
  for (const auto& [reason, count] : errors) {
    std::fprintf(stdout, "  %lld × %s\n", static_cast<long long>(count), reason.c_str());
  }
  return absl::OkStatus();
}

absl::Status RunEvaluateReward(const RewardUseCommand& command) {
  ASSIGN_OR_RETURN(const auto model, RewardModel::Load(command.model_folder + "/" + kModelFile));
  ASSIGN_OR_RETURN(const PreferenceSet set, ReadPreferences(command.files));
  PrintSetAside(set);
  const RewardMetrics metrics = model->Evaluate(set.items);
  std::vector<WordWeight> words = model->TopWords();
  if (words.size() > command.words) words.resize(command.words);
  if (command.json) {
    Json json = ToJson(metrics);
    json["axis"] = model->axis();
    json["set_aside"] = set.set_aside;
    json["words"] = Json::array();
    for (const WordWeight& word : words) json["words"].push_back({word.word, word.weight});
    std::fprintf(stdout, "%s\n", json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
    return absl::OkStatus();
  }
  PrintMetrics(model->axis().c_str(), metrics);
  if (words.empty() && command.words > 0) {
    std::fprintf(stderr,
                 "a transformer has no words of its own; fairlead score --explain %zu "
                 "shows those of each response\n",
                 command.words);
  }
  for (const WordWeight& word : words) {
    std::fprintf(stdout, "  %+8.3f  %s\n", word.weight, word.word.c_str());
  }
  return absl::OkStatus();
}

}  // namespace fairlead::trainer
