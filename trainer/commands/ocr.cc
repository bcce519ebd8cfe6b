#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/commands/commands.h"
#include "trainer/data/ocr_folder.h"

namespace fairlead::trainer {
namespace {

namespace fs = std::filesystem;

volatile std::sig_atomic_t stop_requested = 0;

void RequestStop(int /*signal*/) { stop_requested = 1; }

void PrintProgress(const TrainProgress& p) {
  std::string line = absl::StrFormat("epoch %d/%d  step %d  %.0f images/s  loss %.3f", p.epoch,
                                     p.epochs, p.step, p.images_per_second, p.train_loss);
  if (p.validation_exact_match >= 0) {
    absl::StrAppendFormat(&line, "  validation %.1f %% exact", 100 * p.validation_exact_match);
  }
  absl::StrAppendFormat(&line, "  %.0f s left\n", p.seconds_left);
  std::fputs(line.c_str(), stderr);
}

void PrintMetrics(const std::string& name, const OcrMetrics& m) {
  const std::string line = absl::StrFormat(
      "%s: %d images, %.2f %% exact, character error rate %.2f %%, NLL %.3f, calibration error "
      "%.3f\n",
      name, m.count, 100 * m.exact_match, 100 * m.character_error_rate, m.negative_log_likelihood,
      m.calibration_error);
  std::fputs(line.c_str(), stdout);
}

}  // namespace

absl::Status RunTrainOcr(const OcrTrainCommand& command) {
  ASSIGN_OR_RETURN(const std::vector<OcrExample> examples,
                   ReadOcrFolder(command.folder, command.options.seed));
  std::error_code error;
  fs::create_directories(command.model_folder, error);
  if (error) {
    return FieldError("out", absl::StrCat(command.model_folder, ": ", error.message()));
  }
  OcrTrainOptions options = command.options;
  const std::string checkpoints = command.model_folder + "/checkpoints";
  if (!command.resume) fs::remove_all(checkpoints, error);
  options.checkpoint_directory = checkpoints;
  options.on_progress = PrintProgress;
  std::signal(SIGINT, RequestStop);
  std::signal(SIGTERM, RequestStop);
  options.command = [] {
    return stop_requested != 0 ? Command::kCheckpointAndStop : Command::kContinue;
  };
  ASSIGN_OR_RETURN(const OcrTrainResult result,
                   TrainOcr(examples, options, command.model_folder + "/" + kModelFile));
  PrintMetrics("validation", result.validation);
  if (result.test.has_value()) PrintMetrics("test", *result.test);
  std::fprintf(stdout, "%s  (%.1f s)\n", result.model_path.c_str(), result.metrics.at("seconds"));
  return absl::OkStatus();
}

absl::Status RunPredictOcr(const OcrUseCommand& command) {
  ASSIGN_OR_RETURN(auto model, OcrModel::Load(command.model_folder + "/" + kModelFile,
                                              command.device, command.threads));
  ASSIGN_OR_RETURN(const std::vector<NamedImage> named, ReadImageFolder(command.folder));
  std::vector<GrayImage> images;
  for (const NamedImage& one : named) images.push_back(one.image);
  ASSIGN_OR_RETURN(const auto predictions, model->Predict(images));
  std::string table;
  for (size_t i = 0; i < named.size(); ++i) {
    absl::StrAppendFormat(&table, "%s\t%s\t%.6f\n", named[i].name, predictions[i].text,
                          predictions[i].confidence);
  }
  return WriteFileAtomically(command.output, table);
}

absl::Status RunEvaluateOcr(const OcrUseCommand& command) {
  ASSIGN_OR_RETURN(auto model, OcrModel::Load(command.model_folder + "/" + kModelFile,
                                              command.device, command.threads));
  ASSIGN_OR_RETURN(const std::vector<OcrExample> all, ReadOcrFolder(command.folder, /*seed=*/1));
  std::vector<OcrExample> test;
  for (const OcrExample& example : all) {
    if (example.split == Split::kTest) test.push_back(example);
  }
  ASSIGN_OR_RETURN(const OcrMetrics metrics, model->Evaluate(test.empty() ? all : test));
  PrintMetrics(test.empty() ? "all" : "test", metrics);
  return absl::OkStatus();
}

}  // namespace fairlead::trainer
