// TrainReward and RewardModel (train.h).
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/reward/fit.h"
#include "trainer/reward/linear.h"
#include "trainer/reward/losses.h"
#include "trainer/reward/transformer_fit.h"
#include "trainer/train.h"

namespace fairlead::trainer {
namespace {

constexpr int64_t kEnoughForADevice = 1000;  // Pairs; with fewer the linear model is better.

class LinearRewardModel : public RewardModel {
 public:
  explicit LinearRewardModel(LinearReward model)
      : model_(std::move(model)), features_(model_.features, model_.idf) {}

  const std::string& axis() const override { return model_.axis; }

  double Score(absl::string_view prompt, absl::string_view response) const override {
    double sum = 0;
    const std::vector<double> scores = MemberScores(prompt, response);
    for (const double score : scores) sum += score;
    return sum / static_cast<double>(scores.size());
  }

  double PreferA(absl::string_view prompt, absl::string_view a,
                 absl::string_view b) const override {
    return std::clamp(Sigmoid(Score(prompt, a) - Score(prompt, b)), 1e-9, 1 - 1e-9);
  }

  double Disagreement(absl::string_view prompt, absl::string_view a,
                      absl::string_view b) const override {
    const std::vector<double> of_a = MemberScores(prompt, a), of_b = MemberScores(prompt, b);
    const auto count = static_cast<double>(of_a.size());
    double sum = 0, squares = 0;
    for (size_t m = 0; m < of_a.size(); ++m) {
      sum += of_a[m] - of_b[m];
      squares += (of_a[m] - of_b[m]) * (of_a[m] - of_b[m]);
    }
    return std::sqrt(std::max(0.0, squares / count - sum / count * (sum / count)));
  }

  std::vector<WordWeight> Explain(absl::string_view prompt, absl::string_view response,
                                  size_t count) const override {
    const SparseVector vector = features_.Of(prompt, response);
    std::vector<WordWeight> words;
    for (auto& [bucket, word] : features_.Named(response)) {
      const auto at =
          std::lower_bound(vector.begin(), vector.end(), bucket,
                           [](const auto& entry, uint32_t wanted) { return entry.first < wanted; });
      if (at == vector.end() || at->first != bucket) continue;
      double weight = 0;
      for (const auto& member : model_.members) weight += member[bucket];
      weight *= at->second / model_.temperature / static_cast<double>(model_.members.size());
      words.push_back({std::move(word), weight});
    }
    std::stable_sort(words.begin(), words.end(), [](const WordWeight& a, const WordWeight& b) {
      return std::abs(a.weight) > std::abs(b.weight);
    });
    if (words.size() > count) words.resize(count);
    return words;
  }

  size_t longest_explained() const override { return SIZE_MAX; }

  std::vector<WordWeight> TopWords() const override { return model_.top_words; }

  RewardMetrics Evaluate(absl::Span<const PreferenceItem> items) const override {
    std::vector<ScoredPair> pairs;
    bool single = !items.empty();
    for (const PreferenceItem& item : items) {
      single = single && item.safe.has_value();
      std::vector<double> scores;
      for (const std::string& response : item.responses) {
        scores.push_back(Score(item.prompt, response));
      }
      const std::vector<ScoredPair> scored = PairsOf(item, scores);
      pairs.insert(pairs.end(), scored.begin(), scored.end());
    }
    return Measure(pairs, single);
  }

 private:
  std::vector<double> MemberScores(absl::string_view prompt, absl::string_view response) const {
    const SparseVector vector = features_.Of(prompt, response);
    std::vector<double> scores;
    for (const auto& member : model_.members) {
      scores.push_back(Dot(member, vector) / model_.temperature);
    }
    return scores;
  }

  const LinearReward model_;
  const TextFeatures features_;
};

absl::Status CheckItem(const PreferenceItem& item, const std::string& field) {
  const size_t count = item.responses.size();
  const int judgements = (item.comparisons.empty() ? 0 : 1) + (item.ranking.empty() ? 0 : 1) +
                         (item.safe.has_value() ? 1 : 0);
  if (count < 1 || count > kMaxResponses) {
    return FieldError(field + ".responses", absl::StrCat("must be 1 to ", kMaxResponses));
  }
  if (judgements != 1 || (item.safe.has_value() && count != 1)) {
    return FieldError(field, "needs comparisons, a ranking, or, alone, safe");
  }
  for (const Comparison& pair : item.comparisons) {
    const int end = static_cast<int>(count);
    if (pair.a < 0 || pair.a >= end || pair.b < 0 || pair.b >= end || pair.a == pair.b) {
      return FieldError(field + ".comparisons", "must name two of the responses");
    }
    if (!(pair.preference_a >= 0 && pair.preference_a <= 1)) {
      return FieldError(field + ".preference_a", "must be 0 to 1");
    }
  }
  std::vector<bool> seen(count, false);
  for (const auto& level : item.ranking) {
    for (const int index : level) {
      if (index < 0 || index >= static_cast<int>(count) || seen[index]) {
        return FieldError(field + ".ranking", "must name each response at most once");
      }
      seen[index] = true;
    }
  }
  if (!(item.weight >= 0 && std::isfinite(item.weight))) {
    return FieldError(field + ".weight", "must be finite and at least 0");
  }
  return absl::OkStatus();
}

absl::Status CheckInput(absl::Span<const PreferenceItem> items, const RewardTrainOptions& options) {
  const std::array<absl::string_view, 4> models = {"auto", "linear", "ensemble", "transformer"};
  if (std::find(models.begin(), models.end(), options.model) == models.end()) {
    return FieldError("model", "must be auto, linear, ensemble or transformer");
  }
  if (options.axis != "helpful" && options.axis != "safe") {
    return FieldError("axis", "must be helpful or safe");
  }
  if (options.bits < 8 || options.bits > 22) return FieldError("bits", "must be 8 to 22");
  if (!(options.strength >= 0 && options.strength <= 1e6)) {
    return FieldError("strength", "must be 0 to 1000000");
  }
  if (options.threads < 1) return FieldError("threads", "must be at least 1");
  if (options.epochs < 1 || options.epochs > 20) return FieldError("epochs", "must be 1 to 20");
  if (!(options.smoothing >= 0 && options.smoothing < 0.5)) {
    return FieldError("smoothing", "must be 0 to below 0.5");
  }
  bool alone = false, compared = false;
  for (size_t i = 0; i < items.size(); ++i) {
    RETURN_IF_ERROR(CheckItem(items[i], absl::StrCat("items[", i, "]")));
    (items[i].safe.has_value() ? alone : compared) = true;
  }
  if (alone && options.axis == "helpful") {
    return FieldError("axis", "single responses marked safe or not need the axis safe");
  }
  if (alone && compared) {
    return FieldError("items", "single responses and comparisons need a model each");
  }
  return absl::OkStatus();
}

std::string DigestOf(absl::Span<const PreferenceItem> items) {
  Sha256 digest;
  for (const PreferenceItem& item : items) {
    std::string text =
        absl::StrCat(item.id.size(), ":", item.id, item.prompt.size(), ":", item.prompt);
    for (const std::string& response : item.responses) {
      absl::StrAppend(&text, response.size(), ":", response);
    }
    for (const Comparison& pair : item.comparisons) {
      absl::StrAppendFormat(&text, "%d>%d %.17g;", pair.a, pair.b, pair.preference_a);
    }
    for (const auto& level : item.ranking) {
      for (const int index : level) absl::StrAppend(&text, index, "=");
      absl::StrAppend(&text, ">");
    }
    absl::StrAppendFormat(&text, "%d,%.17g,%d|", item.safe.has_value() ? *item.safe : 2,
                          item.weight, static_cast<int>(item.split));
    digest.Update(text);
  }
  return digest.FinishHex();
}

// The pairs of a ranking as comparisons of equal weight, ties at 0.5.
PreferenceItem AsPairs(PreferenceItem item) {
  for (size_t level = 0; level < item.ranking.size(); ++level) {
    const std::vector<int>& tied = item.ranking[level];
    for (size_t i = 0; i < tied.size(); ++i) {
      for (size_t j = i + 1; j < tied.size(); ++j) {
        item.comparisons.push_back({tied[i], tied[j], 0.5});
      }
      for (size_t lower = level + 1; lower < item.ranking.size(); ++lower) {
        for (const int index : item.ranking[lower]) item.comparisons.push_back({tied[i], index, 1});
      }
    }
  }
  item.ranking.clear();
  return item;
}

void Flatten(const std::string& name, const RewardMetrics& metrics,
             std::map<std::string, double>& flat) {
  flat[name + ".count"] = static_cast<double>(metrics.count);
  flat[name + ".pair_accuracy"] = metrics.pair_accuracy;
  flat[name + ".negative_log_likelihood"] = metrics.negative_log_likelihood;
  flat[name + ".length_only_accuracy"] = metrics.length_only_accuracy;
  flat[name + ".calibration_error"] = metrics.calibration_error;
  flat[name + ".calibration_slope"] = metrics.calibration_slope;
}

// A trained model in both its forms, and what its training says of it.
struct Trained {
  std::string bytes;
  std::unique_ptr<RewardModel> model;
  RewardMetrics cross_fold;
  std::map<std::string, double> metrics;
};

// The file that the training goes on from, if one is named.
struct Champion {
  std::optional<LinearReward> linear;
  std::optional<TransformerReward> transformer;
};

absl::StatusOr<Champion> ReadChampion(const RewardTrainOptions& options) {
  Champion champion;
  if (options.warm_start.empty()) return champion;
  ASSIGN_OR_RETURN(const TensorFile file, TensorFile::Read(options.warm_start));
  if (IsTransformer(file)) {
    if (options.model != "transformer" && options.model != "auto") {
      return FieldError("warm_start", "is a transformer, which the model is not to be");
    }
    ASSIGN_OR_RETURN(champion.transformer, ReadTransformer(file, options.warm_start));
  } else {
    if (options.model == "transformer") return FieldError("warm_start", "is not a transformer");
    ASSIGN_OR_RETURN(champion.linear, ReadReward(file, options.warm_start));
  }
  return champion;
}

Trained TrainLinear(const std::vector<const PreferenceItem*>& train,
                    const RewardTrainOptions& options, const Champion& champion,
                    const std::string& data_digest) {
  LinearRewardFit fit = FitReward(train, options, FeaturesFor(options, train[0]->safe.has_value()),
                                  champion.linear.has_value() ? &*champion.linear : nullptr);
  Trained trained;
  trained.bytes = EncodeReward(fit.model, data_digest);
  trained.cross_fold = fit.cross_fold;
  trained.metrics = {{"temperature", fit.model.temperature}, {"strength", fit.model.strength}};
  trained.model = std::make_unique<LinearRewardModel>(std::move(fit.model));
  return trained;
}

absl::StatusOr<Trained> ServeFit(TransformerFit fit, const std::string& data_digest) {
  Trained trained;
  trained.bytes = EncodeTransformer(fit.model, data_digest);
  trained.cross_fold = fit.held_out;
  trained.metrics = {{"temperature", fit.model.temperature},
                     {"pieces", fit.model.shape.vocabulary - 1},
                     {"epochs", static_cast<double>(fit.epochs)},
                     {"steps", static_cast<double>(fit.steps)},
                     {"tokens", static_cast<double>(fit.tokens)}};
  ASSIGN_OR_RETURN(trained.model, ServeTransformer(std::move(fit.model)));
  return trained;
}

bool IsWorthATransformer(const std::vector<const PreferenceItem*>& train,
                         const RewardTrainOptions& options) {
  int64_t judged = 0;
  for (const PreferenceItem* item : train) {
    const std::vector<double> none(item->responses.size(), 0.0);
    judged += static_cast<int64_t>(PairsOf(*item, none).size());
  }
  return judged >= options.auto_pairs || (HasTrainingDevice() && judged >= kEnoughForADevice);
}

// Whether the transformer's held-out pairs are likelier than a linear model's that was fitted to
// what the transformer was, by more than the standard error of the mean difference.
bool IsBetter(const TransformerFit& fit, const std::vector<const PreferenceItem*>& train,
              const RewardTrainOptions& options, const Champion& champion) {
  std::vector<const PreferenceItem*> kept;
  for (const PreferenceItem* item : train) {
    if (!IsHeldOut(*item)) kept.push_back(item);
  }
  if (kept.empty() || fit.losses.empty()) return false;
  const Trained linear = TrainLinear(kept, options, champion, "");
  std::vector<ScoredPair> pairs;
  for (const PreferenceItem* item : train) {
    if (!IsHeldOut(*item)) continue;
    std::vector<double> scores;
    for (const std::string& response : item->responses) {
      scores.push_back(linear.model->Score(item->prompt, response));
    }
    for (const ScoredPair& pair : PairsOf(*item, scores)) pairs.push_back(pair);
  }
  double factor = 1, sum = 0, squares = 0;
  const std::vector<double> losses = LossesAtBest(pairs, factor);
  const auto count = static_cast<double>(losses.size());
  for (size_t i = 0; i < losses.size(); ++i) {
    const double gain = losses[i] - fit.losses[i];
    sum += gain;
    squares += gain * gain;
  }
  const double mean = sum / count;
  return mean > std::sqrt(std::max(0.0, squares / count - mean * mean) / count);
}

// The model asked for, or of `auto` the better one. `kind` becomes its name.
absl::StatusOr<Trained> TrainKind(const std::vector<const PreferenceItem*>& train,
                                  const RewardTrainOptions& options, const std::string& data_digest,
                                  std::string& kind) {
  ASSIGN_OR_RETURN(const Champion champion, ReadChampion(options));
  const bool tried = options.model == "transformer" ||
                     (options.model == "auto" && IsWorthATransformer(train, options));
  kind = options.model == "ensemble" ? "ensemble" : "linear";
  if (tried) {
    absl::StatusOr<TransformerFit> fit = FitTransformer(
        train, options, champion.transformer.has_value() ? &*champion.transformer : nullptr);
    if (options.model == "transformer") RETURN_IF_ERROR(fit.status());
    if (!fit.ok()) FAIRLEAD_LOG(WARNING) << "no transformer, so linear: " << fit.status().message();
    if (options.model == "transformer" || (fit.ok() && IsBetter(*fit, train, options, champion))) {
      kind = "transformer";
      return ServeFit(*std::move(fit), data_digest);
    }
  }
  return TrainLinear(train, options, champion, data_digest);
}

}  // namespace

absl::StatusOr<RewardTrainResult> TrainReward(absl::Span<const PreferenceItem> items,
                                              const RewardTrainOptions& options,
                                              const std::string& output_path) {
  const auto started = std::chrono::steady_clock::now();
  RETURN_IF_ERROR(CheckInput(items, options));
  std::vector<PreferenceItem> as_pairs;
  std::vector<const PreferenceItem*> train;
  std::vector<PreferenceItem> validation, test;
  as_pairs.reserve(items.size());
  for (const PreferenceItem& item : items) {
    if (item.split == Split::kValidation) validation.push_back(item);
    if (item.split == Split::kTest) test.push_back(item);
    if (item.split != Split::kTrain) continue;
    const bool turn = options.rankings_as_pairs && !item.ranking.empty();
    train.push_back(turn ? &as_pairs.emplace_back(AsPairs(item)) : &item);
  }
  if (train.empty()) return FieldError("items", "no training item");
  RewardTrainResult result;
  ASSIGN_OR_RETURN(Trained trained, TrainKind(train, options, DigestOf(items), result.model));
  RETURN_IF_ERROR(WriteFileAtomically(output_path, trained.bytes));
  result.metrics = trained.metrics;
  result.metrics["train.count"] = static_cast<double>(train.size());
  result.cross_fold = trained.cross_fold;
  result.validation = trained.model->Evaluate(validation);
  if (!test.empty()) result.test = trained.model->Evaluate(test);
  result.scorer = std::move(trained.model);
  Flatten("cross_fold", result.cross_fold, result.metrics);
  Flatten("validation", result.validation, result.metrics);
  if (result.test.has_value()) Flatten("test", *result.test, result.metrics);
  result.metrics["seconds"] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return result;
}

absl::StatusOr<std::unique_ptr<RewardModel>> RewardModel::Load(const std::string& path) {
  ASSIGN_OR_RETURN(const TensorFile file, TensorFile::Read(path));
  if (IsTransformer(file)) {
    ASSIGN_OR_RETURN(TransformerReward transformer, ReadTransformer(file, path));
    return ServeTransformer(std::move(transformer));
  }
  ASSIGN_OR_RETURN(LinearReward model, ReadReward(file, path));
  return std::unique_ptr<RewardModel>(std::make_unique<LinearRewardModel>(std::move(model)));
}

}  // namespace fairlead::trainer
