#include <cstdio>
#include <filesystem>
#include <fstream>
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

void PrintMetrics(const char* name, const RewardMetrics& m) {
  std::fprintf(stdout, "%s: %lld pairs, %.2f %% right, NLL %.4f, \"the longer\" %.2f %%\n", name,
               static_cast<long long>(m.count), 100 * m.pair_accuracy, m.negative_log_likelihood,
               100 * m.length_only_accuracy);
}

}  // namespace

absl::Status RunTrainReward(const RewardTrainCommand& command) {
  ASSIGN_OR_RETURN(const auto pairs, ReadPreferenceFile(command.file, command.options.seed));
  std::error_code error;
  std::filesystem::create_directories(command.model_folder, error);
  if (error) {
    return FieldError("out", absl::StrCat(command.model_folder, ": ", error.message()));
  }
  const std::string path = command.model_folder + "/" + kModelFile;
  ASSIGN_OR_RETURN(const RewardTrainResult result, TrainReward(pairs, command.options, path));
  PrintMetrics("validation", result.validation);
  if (result.test.has_value()) PrintMetrics("test", *result.test);
  std::fprintf(stdout, "%s  (%.1f s)\n", path.c_str(), result.metrics.at("seconds"));
  return absl::OkStatus();
}

absl::Status RunScore(const ScoreCommand& command) {
  ASSIGN_OR_RETURN(const auto model, RewardModel::Load(command.model_folder + "/" + kModelFile));
  std::ifstream in(command.input);
  if (!in) return absl::NotFoundError(absl::StrCat(command.input, ": no such file"));
  std::string scores, line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    if (line.empty()) continue;
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    const bool readable = json.is_object() && json.contains("response") &&
                          json["response"].is_string() &&
                          (!json.contains("prompt") || json["prompt"].is_string());
    if (!readable) {
      return Annotate(FieldError("line", "needs a string \"response\""),
                      absl::StrCat(command.input, ":", number));
    }
    const std::string response = json["response"].get<std::string>();
    absl::StrAppendFormat(&scores, "%.9g\n", model->Score(json.value("prompt", ""), response));
  }
  return WriteFileAtomically(command.output, scores);
}

}  // namespace fairlead::trainer
