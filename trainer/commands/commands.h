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
  OcrTrainOptions options;
};
absl::Status RunTrainOcr(const OcrTrainCommand& command);

struct OcrUseCommand {
  std::string model_folder;
  std::string folder;
  std::string output;  // TSV of file, text, confidence; predict only.
  std::string device = "auto";
  int threads = 1;
};
absl::Status RunPredictOcr(const OcrUseCommand& command);
// Measures on the test examples, or on all when there are none.
absl::Status RunEvaluateOcr(const OcrUseCommand& command);

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

}  // namespace fairlead::trainer
