// The trainer's front door, free of torch: what the worker and the tools call (hops 12 and 14).
// Everything here runs on CUDA when libtorch has it and `device` allows, else on the CPU.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/image/image.h"

namespace fairlead::trainer {

enum class Split { kTrain, kValidation, kTest };

struct OcrExample {
  std::string id;
  GrayImage image;
  std::string text;
  double weight = 1.0;
  Split split = Split::kTrain;
};

// Live state of a run; also what a learning curve is drawn from.
struct TrainProgress {
  int epoch = 0;  // Finished epochs.
  int epochs = 0;
  int64_t step = 0;
  double images_per_second = 0;
  double train_loss = 0;
  double validation_exact_match = -1;  // −1 until measured.
  double seconds_left = 0;
};

// What the caller wants at this moment; asked once a step.
enum class Command {
  kContinue,
  kCheckpointAndStop,  // SIGTERM: write a checkpoint, return CANCELLED.
  kAbort,              // Lease lost: return ABORTED at once, write nothing.
};

struct OcrTrainOptions {
  std::string variant =
      "auto";                 // full | half | quarter | eighth | tiny | auto (by device and data).
  std::string head = "auto";  // column | flat | ctc | auto (by the labels).
  int image_height = 32;
  int image_width = 128;
  // Zero: chosen from the number of examples, the variant and whether the start is warm.
  int epochs = 0;
  int batch = 0;
  double peak_learning_rate = 0;
  uint64_t seed = 1;
  int threads = 1;              // Part of the result: another count gives other bits.
  std::string device = "auto";  // cpu | cuda | auto.
  // Path of a model file to start from; its configuration and alphabet are kept when they fit.
  std::string warm_start;
  // Where checkpoints are kept; empty writes none. A valid checkpoint of the same data, options and
  // seed found there is resumed from, and the result is bit for bit what an unbroken run gives.
  std::string checkpoint_directory;
  double checkpoint_seconds = 30;
  std::function<Command()> command;                       // Optional.
  std::function<void(const TrainProgress&)> on_progress;  // Optional; about once a second.
};

// Evaluation of a model over a set.
struct OcrMetrics {
  int64_t count = 0;
  double exact_match = 0;              // Share of texts equal to the truth.
  double character_error_rate = 0;     // Edit distance over the truth's length, pooled.
  double negative_log_likelihood = 0;  // Of the truth, per image.
  double calibration_error = 0;        // ECE of the confidence, 10 bins.
};

struct OcrTrainResult {
  std::string model_path;  // A self-contained model file (safetensors), in the scratch directory.
  OcrMetrics validation;
  std::optional<OcrMetrics> test;         // When there are test examples.
  std::map<std::string, double> metrics;  // The same flattened: "test.exact_match", "seconds", ….
  std::vector<TrainProgress> curve;
};

// Trains and writes `output_path`. INVALID_ARGUMENT for unusable data or options (which and why),
// CANCELLED after kCheckpointAndStop, ABORTED after kAbort, RESOURCE_EXHAUSTED when memory runs
// out.
absl::StatusOr<OcrTrainResult> TrainOcr(absl::Span<const OcrExample> examples,
                                        const OcrTrainOptions& options,
                                        const std::string& output_path);

struct OcrPrediction {
  std::string text;
  double confidence = 0;  // Calibrated probability that the whole text is right.
};

// A trained reader. Thread-compatible: one call at a time.
class OcrModel {
 public:
  // DATA_LOSS or INVALID_ARGUMENT with the reason for a torn, hostile or foreign file.
  static absl::StatusOr<std::unique_ptr<OcrModel>> Load(const std::string& path,
                                                        const std::string& device = "auto",
                                                        int threads = 1);
  virtual ~OcrModel() = default;
  // One prediction an image, in order. Images are resized to the model's input.
  virtual absl::StatusOr<std::vector<OcrPrediction>> Predict(
      absl::Span<const GrayImage> images) = 0;
  virtual absl::StatusOr<OcrMetrics> Evaluate(absl::Span<const OcrExample> examples) = 0;
};

// ---- Reward: hashed n-grams, Bradley–Terry (Bradley & Terry 1952). No torch in it at all. ----

struct PreferencePair {
  std::string id;
  std::string prompt;
  std::string response_a;
  std::string response_b;
  double preference_a = 1.0;  // Target probability that A is better: 1, 0, or 0.5 for a tie.
  double weight = 1.0;
  Split split = Split::kTrain;
};

struct RewardTrainOptions {
  int bits = 16;  // 2^bits hash buckets, 8–22.
  int epochs = 20;
  double l2 = 1e-4;
  uint64_t seed = 1;
};

struct RewardMetrics {
  int64_t count = 0;
  double pair_accuracy = 0;  // Ties left out.
  double negative_log_likelihood = 0;
  double length_only_accuracy = 0;  // "The longer one wins", for comparison.
};

struct RewardTrainResult {
  RewardMetrics validation;
  std::optional<RewardMetrics> test;
  std::map<std::string, double> metrics;
};

absl::StatusOr<RewardTrainResult> TrainReward(absl::Span<const PreferencePair> pairs,
                                              const RewardTrainOptions& options,
                                              const std::string& output_path);

class RewardModel {
 public:
  static absl::StatusOr<std::unique_ptr<RewardModel>> Load(const std::string& path);
  virtual ~RewardModel() = default;
  // Higher is better; only differences mean anything. Thread-safe.
  virtual double Score(absl::string_view prompt, absl::string_view response) const = 0;
  // Calibrated P(A better than B), in (0, 1).
  virtual double PreferA(absl::string_view prompt, absl::string_view a,
                         absl::string_view b) const = 0;
  virtual RewardMetrics Evaluate(absl::Span<const PreferencePair> pairs) const = 0;
};

}  // namespace fairlead::trainer
