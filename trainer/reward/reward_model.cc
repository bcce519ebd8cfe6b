// TrainReward and RewardModel (train.h).
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/reward/linear.h"
#include "trainer/train.h"

namespace fairlead::trainer {
namespace {

constexpr char kFormat[] = "fairlead.reward.v1";
constexpr int kMinBits = 8;
constexpr int kMaxBits = 22;

class LinearRewardModel : public RewardModel {
 public:
  LinearRewardModel(std::vector<float> weights, int bits, double temperature)
      : weights_(std::move(weights)), bits_(bits), temperature_(temperature) {}

  double Score(absl::string_view /*prompt*/, absl::string_view response) const override {
    return Dot(weights_, HashedNgrams(response, bits_)) / temperature_;
  }

  double PreferA(absl::string_view prompt, absl::string_view a,
                 absl::string_view b) const override {
    return std::clamp(Sigmoid(Score(prompt, a) - Score(prompt, b)), 1e-9, 1 - 1e-9);
  }

  RewardMetrics Evaluate(absl::Span<const PreferencePair> pairs) const override {
    RewardMetrics metrics;
    double decided = 0, right = 0, longer_right = 0;
    for (const PreferencePair& pair : pairs) {
      const double margin =
          Score(pair.prompt, pair.response_a) - Score(pair.prompt, pair.response_b);
      metrics.negative_log_likelihood += LogisticLoss(margin, pair.preference_a);
      ++metrics.count;
      if (pair.preference_a == 0.5) continue;
      const double side = pair.preference_a > 0.5 ? 1 : -1;
      // An undecided model is right half of the time.
      const auto share = [&](double difference) {
        return difference == 0 ? 0.5 : (difference * side > 0 ? 1.0 : 0.0);
      };
      decided += 1;
      right += share(margin);
      longer_right += share(static_cast<double>(CountWords(pair.response_a)) -
                            static_cast<double>(CountWords(pair.response_b)));
    }
    if (metrics.count > 0) metrics.negative_log_likelihood /= static_cast<double>(metrics.count);
    if (decided > 0) {
      metrics.pair_accuracy = right / decided;
      metrics.length_only_accuracy = longer_right / decided;
    }
    return metrics;
  }

 private:
  const std::vector<float> weights_;
  const int bits_;
  const double temperature_;
};

absl::Status CheckInput(absl::Span<const PreferencePair> pairs, const RewardTrainOptions& options) {
  if (options.bits < kMinBits || options.bits > kMaxBits) {
    return FieldError("bits", absl::StrCat("must be ", kMinBits, " to ", kMaxBits));
  }
  if (options.epochs < 1 || options.epochs > 10000) {
    return FieldError("epochs", "must be 1 to 10000");
  }
  if (!(options.l2 >= 0 && options.l2 <= 1)) return FieldError("l2", "must be 0 to 1");
  for (size_t i = 0; i < pairs.size(); ++i) {
    const PreferencePair& pair = pairs[i];
    if (!(pair.preference_a >= 0 && pair.preference_a <= 1)) {
      return FieldError(absl::StrCat("pairs[", i, "].preference_a"), "must be 0 to 1");
    }
    if (!(pair.weight >= 0 && std::isfinite(pair.weight))) {
      return FieldError(absl::StrCat("pairs[", i, "].weight"), "must be finite and at least 0");
    }
  }
  return absl::OkStatus();
}

std::string DigestOfPairs(absl::Span<const PreferencePair> pairs) {
  Sha256 digest;
  for (const PreferencePair& pair : pairs) {
    for (const std::string* part : {&pair.id, &pair.prompt, &pair.response_a, &pair.response_b}) {
      digest.Update(absl::StrCat(part->size(), ":", *part));
    }
    digest.Update(absl::StrFormat("%.17g,%.17g,%d;", pair.preference_a, pair.weight,
                                  static_cast<int>(pair.split)));
  }
  return digest.FinishHex();
}

void Flatten(const std::string& name, const RewardMetrics& metrics,
             std::map<std::string, double>& flat) {
  flat[name + ".count"] = static_cast<double>(metrics.count);
  flat[name + ".pair_accuracy"] = metrics.pair_accuracy;
  flat[name + ".negative_log_likelihood"] = metrics.negative_log_likelihood;
  flat[name + ".length_only_accuracy"] = metrics.length_only_accuracy;
}

std::string EncodeReward(const std::vector<float>& weights, const RewardTrainOptions& options,
                         double temperature, const std::string& data_digest) {
  const TensorBytes tensor = {"weights",
                              "F32",
                              {static_cast<int64_t>(weights.size())},
                              absl::string_view(reinterpret_cast<const char*>(weights.data()),
                                                weights.size() * sizeof(float))};
  return EncodeTensorFile({tensor}, {{"format", kFormat},
                                     {"bits", absl::StrCat(options.bits)},
                                     {"temperature", absl::StrFormat("%.17g", temperature)},
                                     {"epochs", absl::StrCat(options.epochs)},
                                     {"l2", absl::StrFormat("%.17g", options.l2)},
                                     {"seed", absl::StrCat(options.seed)},
                                     {"data_digest", data_digest}});
}

}  // namespace

absl::StatusOr<RewardTrainResult> TrainReward(absl::Span<const PreferencePair> pairs,
                                              const RewardTrainOptions& options,
                                              const std::string& output_path) {
  const auto started = std::chrono::steady_clock::now();
  RETURN_IF_ERROR(CheckInput(pairs, options));
  std::vector<Comparison> train, validation;
  std::vector<PreferencePair> validation_pairs, test_pairs;
  for (const PreferencePair& pair : pairs) {
    if (pair.split == Split::kTest) {
      test_pairs.push_back(pair);
      continue;
    }
    Comparison comparison;
    comparison.difference = Subtract(HashedNgrams(pair.response_a, options.bits),
                                     HashedNgrams(pair.response_b, options.bits));
    comparison.target = pair.preference_a;
    comparison.weight = pair.weight;
    const bool trains = pair.split == Split::kTrain;
    (trains ? train : validation).push_back(std::move(comparison));
    if (!trains) validation_pairs.push_back(pair);
  }
  if (train.empty()) return FieldError("pairs", "no training pair");
  const std::vector<float> weights =
      FitLinear(train, {options.bits, options.epochs, options.l2, options.seed});
  const double temperature = FitMarginTemperature(weights, validation);
  RETURN_IF_ERROR(WriteFileAtomically(
      output_path, EncodeReward(weights, options, temperature, DigestOfPairs(pairs))));
  const LinearRewardModel model(weights, options.bits, temperature);
  RewardTrainResult result;
  result.validation = model.Evaluate(validation_pairs);
  if (!test_pairs.empty()) result.test = model.Evaluate(test_pairs);
  Flatten("validation", result.validation, result.metrics);
  if (result.test.has_value()) Flatten("test", *result.test, result.metrics);
  result.metrics["train.count"] = static_cast<double>(train.size());
  result.metrics["temperature"] = temperature;
  result.metrics["seconds"] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return result;
}

absl::StatusOr<std::unique_ptr<RewardModel>> RewardModel::Load(const std::string& path) {
  ASSIGN_OR_RETURN(const TensorFile file, TensorFile::Read(path));
  const auto format = file.metadata().find("format");
  if (format == file.metadata().end() || format->second != kFormat) {
    return FieldError("model", absl::StrCat(path, " is not a ", kFormat, " file"));
  }
  ASSIGN_OR_RETURN(const std::string bits_text, file.Metadata("bits"));
  ASSIGN_OR_RETURN(const std::string temperature_text, file.Metadata("temperature"));
  int bits = 0;
  double temperature = 0;
  const TensorBytes* stored = file.Find("weights");
  if (!absl::SimpleAtoi(bits_text, &bits) || bits < kMinBits || bits > kMaxBits ||
      !absl::SimpleAtod(temperature_text, &temperature) ||
      !(temperature >= 0.01 && temperature <= 100) || stored == nullptr || stored->dtype != "F32" ||
      stored->bytes.size() != (size_t{4} << bits)) {
    return Error(absl::StatusCode::kDataLoss, "MODEL_FILE_CORRUPT",
                 absl::StrCat(path, ": bits, temperature or weights do not fit"));
  }
  std::vector<float> weights(size_t{1} << bits);
  std::memcpy(weights.data(), stored->bytes.data(), stored->bytes.size());
  for (const float weight : weights) {
    if (!std::isfinite(weight)) {
      return Error(absl::StatusCode::kDataLoss, "MODEL_FILE_CORRUPT",
                   absl::StrCat(path, ": a weight is not finite"));
    }
  }
  return std::unique_ptr<RewardModel>(
      std::make_unique<LinearRewardModel>(std::move(weights), bits, temperature));
}

}  // namespace fairlead::trainer
