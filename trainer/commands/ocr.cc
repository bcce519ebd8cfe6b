#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/progress_line.h"
#include "trainer/data/ocr_folder.h"
#include "trainer/report/ocr_report.h"

namespace fairlead::trainer {
namespace {

namespace fs = std::filesystem;

void PrintMetrics(const std::string& name, const OcrMetrics& m) {
  std::fprintf(stdout, "%s\n",
               absl::StrFormat("%s: %d images, %.2f %% exact, character error rate %.2f %%, NLL "
                               "%.3f, calibration error %.3f",
                               name, m.count, 100 * m.exact_match, 100 * m.character_error_rate,
                               m.negative_log_likelihood, m.calibration_error)
                   .c_str());
}

absl::Status WriteResult(const std::string& path, const OcrTrainResult& result, size_t set_aside) {
  if (path.empty()) return absl::OkStatus();
  nlohmann::json json = result.metrics;
  json["variant"] = result.variant;
  json["head"] = result.head;
  json["model"] = result.model_path;
  json["set_aside"] = set_aside;
  return WriteFileAtomically(path, json.dump() + "\n");
}

// The examples of one split; `auto` becomes the split that was taken.
absl::StatusOr<std::vector<OcrExample>> ExamplesOf(std::vector<OcrExample> all,
                                                   std::string& split) {
  static const std::map<std::string, Split> kSplits = {
      {"train", Split::kTrain}, {"val", Split::kValidation}, {"test", Split::kTest}};
  const auto has = [&](Split wanted) {
    return std::any_of(all.begin(), all.end(),
                       [&](const OcrExample& one) { return one.split == wanted; });
  };
  if (split == "auto") split = has(Split::kTest) ? "test" : has(Split::kValidation) ? "val" : "all";
  if (split == "all") return all;
  const auto found = kSplits.find(split);
  if (found == kSplits.end()) {
    return FieldError("split",
                      absl::StrCat("'", split, "' is unknown; use train, val, test or all"));
  }
  std::vector<OcrExample> chosen;
  for (OcrExample& one : all) {
    if (one.split == found->second) chosen.push_back(std::move(one));
  }
  if (chosen.empty()) return FieldError("split", absl::StrCat("no example is for ", split));
  return chosen;
}

}  // namespace

absl::Status RunTrainOcr(const OcrTrainCommand& command) {
  ASSIGN_OR_RETURN(const OcrFolder data, ReadOcrFolder(command.folder, command.options.seed));
  PrintSetAside(data.set_aside);
  std::error_code error;
  fs::create_directories(command.model_folder, error);
  if (error) {
    return FieldError("out", absl::StrCat(command.model_folder, ": ", error.message()));
  }
  OcrTrainOptions options = command.options;
  const std::string checkpoints = command.model_folder + "/checkpoints";
  if (!command.resume) fs::remove_all(checkpoints, error);
  options.checkpoint_directory = checkpoints;
  options.try_heads = true;
  ProgressLine line;
  options.on_progress = [&](const TrainProgress& progress) { line.Show(progress); };
  options.on_trial = [&](const HeadTrial& trial) { line.ShowTrial(trial); };
  options.command = StopOnSignal();
  ASSIGN_OR_RETURN(const OcrTrainResult result,
                   TrainOcr(data.examples, options, command.model_folder + "/" + kModelFile));
  ASSIGN_OR_RETURN(const std::string curve, LearningCurve(result.curve));
  RETURN_IF_ERROR(WriteFileAtomically(command.model_folder + "/" + kCurveFile, curve));
  PrintSetAside(result.set_aside);
  RETURN_IF_ERROR(
      WriteResult(command.json, result, data.set_aside.size() + result.set_aside.size()));
  std::fprintf(stdout, "variant %s, head %s, %.0f parameters, %.0f epochs\n",
               result.variant.c_str(), result.head.c_str(), result.metrics.at("parameters"),
               result.metrics.at("epochs"));
  PrintMetrics("validation", result.validation);
  if (result.test.has_value()) PrintMetrics("test", *result.test);
  std::fprintf(stdout, "%s  (%.1f s)\n", result.model_path.c_str(), result.metrics.at("seconds"));
  return absl::OkStatus();
}

absl::Status RunPredictOcr(const OcrPredictCommand& command) {
  ASSIGN_OR_RETURN(auto model, OcrModel::Load(command.model_folder + "/" + kModelFile,
                                              command.device, command.threads));
  ASSIGN_OR_RETURN(const ImageFolder folder, ReadImageFolder(command.folder));
  std::string table;
  constexpr size_t kPart = 512;
  for (size_t from = 0; from < folder.images.size(); from += kPart) {
    const size_t to = std::min(folder.images.size(), from + kPart);
    std::vector<GrayImage> images;
    for (size_t i = from; i < to; ++i) images.push_back(folder.images[i].image);
    ASSIGN_OR_RETURN(const auto predictions, model->Predict(images));
    for (size_t i = from; i < to; ++i) {
      absl::StrAppendFormat(&table, "%s\t%s\t%.6f\n", folder.images[i].name,
                            predictions[i - from].text, predictions[i - from].confidence);
    }
    std::fprintf(stderr, "read %zu of %zu images\n", to, folder.images.size());
  }
  RETURN_IF_ERROR(WriteFileAtomically(command.output, table));
  PrintSetAside(folder.set_aside);
  std::fprintf(stderr, "%s: %zu images read, %zu unreadable, %lld other files skipped\n",
               command.output.c_str(), folder.images.size(), folder.set_aside.size(),
               static_cast<long long>(folder.other_files));
  return absl::OkStatus();
}

absl::Status RunEvaluateOcr(const OcrEvaluateCommand& command) {
  ASSIGN_OR_RETURN(auto model, OcrModel::Load(command.model_folder + "/" + kModelFile,
                                              command.device, command.threads));
  ASSIGN_OR_RETURN(OcrFolder data, ReadOcrFolder(command.folder, command.seed));
  PrintSetAside(data.set_aside);
  std::string split = command.split;
  ASSIGN_OR_RETURN(const std::vector<OcrExample> examples,
                   ExamplesOf(std::move(data.examples), split));
  std::vector<GrayImage> images;
  for (const OcrExample& example : examples) images.push_back(example.image);
  ASSIGN_OR_RETURN(const auto predictions, model->Predict(images));
  const OcrReport report = MakeReport(examples, predictions);
  std::fprintf(stdout, "split                 %s\n%s", split.c_str(), ReportText(report).c_str());
  if (!command.json.empty()) {
    RETURN_IF_ERROR(WriteFileAtomically(command.json, ReportJson(report) + "\n"));
  }
  if (command.sheet.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string sheet,
                   WorstSheet(report, examples, predictions, command.worst));
  return WriteFileAtomically(command.sheet, sheet);
}

}  // namespace fairlead::trainer
