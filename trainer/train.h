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
#include "trainer/data/preference.h"

namespace fairlead::trainer {

struct OcrExample {
  std::string id;
  GrayImage image;
  std::string text;
  double weight = 1.0;
  Split split = Split::kTrain;
};

// An example that cannot be used, and why.
struct OcrSetAside {
  std::string id;  // Of the example; in a folder its file.
  std::string reason;
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
  double gradient_norm = 0;  // Mean of the steps since the last report of an epoch.
  double clipped_share = 0;  // Of the units whose gradients may be clipped; −1 on a GPU.
};

// How one head did in its trial on the validation split.
struct HeadTrial {
  std::string head;
  double exact_match = 0;
  double negative_log_likelihood = 0;  // Of the truth, per image.
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
  std::string head = "auto";  // column | flat | gappos | ctc | auto (by the labels).
  // Of a head "auto": train the candidates briefly and keep the one that reads more, where there
  // are enough examples to tell. Costs up to a fifth of the run.
  bool try_heads = false;
  // Zero: 32 or 64; on a GPU whichever is nearer to the images, on a CPU 32 below 96 pixels.
  int image_height = 0;
  int image_width = 0;  // Zero: as wide as nine in ten of the images at that height.
  // Zero: chosen from the number of examples, the variant and whether the start is warm.
  int epochs = 0;
  int batch = 0;
  double peak_learning_rate = 0;
  // Images that go through the net at once; a batch in several parts needs less memory. Zero: the
  // whole batch. Halved on its own when memory runs out, down to 1.
  int micro_batch = 0;
  uint64_t seed = 1;
  int threads = 1;              // Part of the result: another count gives other bits.
  std::string device = "auto";  // cpu | cuda | auto.
  // float32 | bf16 (a GPU's convolutions and products) | auto: bf16 on a GPU. Models are float32
  // and measured so.
  std::string precision = "auto";
  // Path of a model file to start from; its configuration and alphabet are kept when they fit.
  std::string warm_start;
  // Where checkpoints are kept; empty writes none. A valid checkpoint of the same data, options and
  // seed found there is resumed from, and the result is bit for bit what an unbroken run gives.
  std::string checkpoint_directory;
  double checkpoint_seconds = 30;
  std::function<Command()> command;                       // Optional.
  std::function<void(const TrainProgress&)> on_progress;  // Optional; about once a second.
  std::function<void(const HeadTrial&)> on_trial;         // Optional; after each.
};

// Evaluation of a model over a set.
struct OcrMetrics {
  int64_t count = 0;
  double exact_match = 0;              // Share of texts equal to the truth.
  double character_error_rate = 0;     // Edit distance over the truth's length, pooled.
  double negative_log_likelihood = 0;  // Of the truth, per image.
  double calibration_error = 0;        // ECE of the confidence, 10 bins.
};

class OcrModel;

struct OcrTrainResult {
  std::string model_path;  // A self-contained model file (safetensors), in the scratch directory.
  OcrMetrics validation;
  std::optional<OcrMetrics> test;         // When there are test examples.
  std::map<std::string, double> metrics;  // The same flattened: "test.exact_match", "seconds", ….
  std::vector<TrainProgress> curve;
  std::string variant, head;
  std::vector<HeadTrial> trials;  // Empty when the head was given or there was nothing to choose.
  // Training examples whose text is longer than the head can hold; counted as "train.set_aside".
  std::vector<OcrSetAside> set_aside;
  std::shared_ptr<OcrModel> reader;  // As it is in memory: what the file has to give back.
};

// Trains and writes `output_path`. INVALID_ARGUMENT for unusable data or options (which and why),
// CANCELLED after kCheckpointAndStop, ABORTED after kAbort, RESOURCE_EXHAUSTED when memory runs
// out.
absl::StatusOr<OcrTrainResult> TrainOcr(absl::Span<const OcrExample> examples,
                                        const OcrTrainOptions& options,
                                        const std::string& output_path);

// The size in pixels to which a reader brings every image; of a file with OcrModel::Load's errors.
struct OcrInputSize {
  int height = 0, width = 0;
};
absl::StatusOr<OcrInputSize> InputSizeOf(const std::string& model_path);

struct OcrPrediction {
  std::string text;
  double confidence = 0;  // Calibrated probability that the whole text is right.
};

// How a reader did on an image whose text is known.
struct OcrJudgement {
  bool right = false;
  double negative_log_likelihood = 0;  // Of the truth, nats; at most 27.7 (one in 10^12).
  double confidence = 0;               // As in OcrPrediction.
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
  // One judgement an example, in order.
  virtual absl::StatusOr<std::vector<OcrJudgement>> Judge(
      absl::Span<const OcrExample> examples) = 0;
};

// ---- Reward: hashed n-grams, or a small transformer, under Bradley–Terry (1952) and Plackett–Luce
// (Plackett 1975). ----

struct RewardTrainOptions {
  // linear | ensemble | transformer | auto: linear, unless there are `auto_pairs` judged pairs or a
  // GPU, and a transformer's likelihood on held-out prompts is then better by more than its error.
  std::string model = "auto";
  int64_t auto_pairs = 20000;
  // helpful learns from comparisons and rankings; safe from single responses as well, which then
  // score above 0 when they are more likely safe than not.
  std::string axis = "helpful";
  int bits = 18;         // 2^bits hash buckets, 8–22.
  double strength = 0;   // The prior's precision: l2/2·|w|² beside the summed loss; 0 chooses.
  double smoothing = 0;  // Share of the judgements that would be turned round when asked again.
  // Learn from length as a nuisance of its own that is not served (as ODIN's second head, Chen et
  // al. 2024): less biased to length, and less right where people do prefer the shorter.
  bool drop_length = false;
  bool rankings_as_pairs = false;  // Learn from a ranking's pairs instead of Plackett–Luce.
  uint64_t seed = 1;               // Of the ensemble's draws and the transformer's training.
  // Model file of the same kind that the fit starts from: strength and weights, or pieces and
  // weights.
  std::string warm_start;
  // Of a transformer's training.
  std::string device = "auto";  // cpu | cuda | auto.
  int threads = 1;
  int epochs = 3;  // At most, 1–20; two in a row without gain on held-out prompts end it.
};

struct RewardMetrics {
  int64_t count = 0;         // Pairs, or single responses.
  double pair_accuracy = 0;  // Ties left out; of single responses, those on the right side of 0.
  double negative_log_likelihood = 0;
  double length_only_accuracy = 0;  // "The longer one wins", for comparison.
  double calibration_error = 0;     // ECE, 10 bins.
  // The factor on the score that would fit best, and its standard error: 1 is calibrated.
  double calibration_slope = 0;
  double calibration_slope_error = 0;
  double area_under_curve = 0;  // Of single responses; 0 for pairs.
};

class RewardModel;

struct RewardTrainResult {
  std::string model;         // linear, ensemble or transformer.
  RewardMetrics cross_fold;  // Of training items, each scored by a fit that did not see it.
  RewardMetrics validation;
  std::optional<RewardMetrics> test;
  std::map<std::string, double> metrics;
  std::shared_ptr<const RewardModel> scorer;  // As it is in memory: what the file has to give back.
};

// Trains on the items of split kTrain and writes `output_path`. Strength, temperature and, of a
// transformer, the number of epochs are chosen on held-out training items (by prompt).
// INVALID_ARGUMENT names field and item; FAILED_PRECONDITION when a transformer is asked for and
// fairlead-tokenizer, which makes its vocabulary, is not beside this program.
absl::StatusOr<RewardTrainResult> TrainReward(absl::Span<const PreferenceItem> items,
                                              const RewardTrainOptions& options,
                                              const std::string& output_path);

struct WordWeight {
  std::string word;  // A word or, with a space, two.
  double weight = 0;
};

class RewardModel {
 public:
  static absl::StatusOr<std::unique_ptr<RewardModel>> Load(const std::string& path);
  virtual ~RewardModel() = default;
  virtual const std::string& axis() const = 0;
  // Higher is better, in log-odds; of the axis "safe" σ(score) is the probability of safe, of
  // "helpful" only differences within a prompt mean anything. Thread-safe.
  virtual double Score(absl::string_view prompt, absl::string_view response) const = 0;
  // Calibrated P(A better than B), in (0, 1).
  virtual double PreferA(absl::string_view prompt, absl::string_view a,
                         absl::string_view b) const = 0;
  // Standard deviation of score(A) − score(B) between the members of an ensemble; 0 for one model.
  virtual double Disagreement(absl::string_view prompt, absl::string_view a,
                              absl::string_view b) const = 0;
  // What the response's words add to its score, by size, at most `count`. A transformer's are what
  // the score loses with each word; none where the response has more words than longest_explained.
  virtual std::vector<WordWeight> Explain(absl::string_view prompt, absl::string_view response,
                                          size_t count) const = 0;
  virtual size_t longest_explained() const = 0;
  // The words that count most in the whole model, by size; a transformer has no such list.
  virtual std::vector<WordWeight> TopWords() const = 0;
  virtual RewardMetrics Evaluate(absl::Span<const PreferenceItem> items) const = 0;
};

}  // namespace fairlead::trainer
