// The commands of fairlead-trainer. Each returns a status; main.cc turns it into a message and an
// exit code.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "trainer/train.h"

namespace fairlead::trainer {

struct OcrTrainCommand {
  std::string folder;        // --data
  std::string model_folder;  // --out
  bool resume = false;       // Keep and take up checkpoints in the model folder.
  std::string json;          // File for the result as one JSON object; empty writes none.
  OcrTrainOptions options;
};
// Writes the model and curve.svg into the model folder.
absl::Status RunTrainOcr(const OcrTrainCommand& command);

struct OcrPredictCommand {
  std::string model_folder;
  std::string folder;  // Images at any depth, images.tar, or both.
  std::string output;  // TSV of file, text, confidence, without a header line as labels.tsv.
  std::string device = "auto";
  int threads = 1;
};
absl::Status RunPredictOcr(const OcrPredictCommand& command);

struct OcrEvaluateCommand {
  std::string model_folder;
  std::string folder;          // As for training.
  std::string split = "auto";  // train | val | test | all | auto: test, else val, else all.
  std::string json;            // File for the report as one JSON object; empty writes none.
  std::string sheet;           // File for an SVG of the worst images; empty writes none.
  int worst = 40;              // Images on the sheet.
  uint64_t seed = 1;           // Of the split, where the folder names none.
  std::string device = "auto";
  int threads = 1;
};
absl::Status RunEvaluateOcr(const OcrEvaluateCommand& command);

struct OcrCheckCommand {
  std::string folder;  // As for training; every split is checked.
  std::string output;  // TSV with a header line: file, label, read, confidence, odds.
  int folds = 2;
  double least_confidence = 0.5;
  double least_odds = 4;
  bool json = false;
  OcrTrainOptions training;
};
absl::Status RunCheckOcr(const OcrCheckCommand& command);

struct RewardTrainCommand {
  std::vector<std::string> files;
  std::string model_folder;
  bool json = false;
  RewardTrainOptions options;
};
absl::Status RunTrainReward(const RewardTrainCommand& command);

struct ScoreCommand {
  std::string model_folder;
  std::string input;   // JSON lines as of data/preference_file.h, judged or not; plain or .gz.
  std::string output;  // One JSON object a line, in order.
  size_t explain = 0;  // Words to give as reasons with each score.
  bool json = false;
};
absl::Status RunScore(const ScoreCommand& command);

struct RewardUseCommand {
  std::string model_folder;
  std::vector<std::string> files;
  size_t words = 0;  // Of the whole model, to print.
  bool json = false;
};
absl::Status RunEvaluateReward(const RewardUseCommand& command);

inline constexpr char kModelFile[] = "model.safetensors";
inline constexpr char kCurveFile[] = "curve.svg";

}  // namespace fairlead::trainer
