#include "tests/bench/reward_transformer.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/bench/processes.h"
#include "trainer/reward/losses.h"
#include "trainer/reward/transformer.h"

namespace fairlead::bench {
namespace {

using trainer::PreferenceItem;
using trainer::TokenRow;
using trainer::TransformerShape;
using Batch = std::vector<TokenRow>;
using Json = nlohmann::json;

constexpr int kBatches = 8, kPairs = 32;
constexpr double kSeconds = 4;
constexpr int kThreads = 1;

// Pairs of nearly equal length beside each other, so that Python pads little.
absl::StatusOr<std::vector<Batch>> MakeBatches(const std::vector<PreferenceItem>& items,
                                               TransformerShape& shape) {
  std::vector<absl::string_view> texts;
  for (const PreferenceItem& item : items) {
    texts.insert(texts.end(), item.responses.begin(), item.responses.end());
  }
  ASSIGN_OR_RETURN(std::string model, trainer::TrainPieces(texts, trainer::kMaxVocabulary));
  ASSIGN_OR_RETURN(const auto tokenizer, trainer::Tokenizer::Parse(std::move(model)));
  shape.vocabulary = tokenizer.pieces() + 1;
  std::vector<Batch> pairs;
  for (size_t i = 0; i < std::min<size_t>(items.size(), kBatches * kPairs); ++i) {
    Batch& pair = pairs.emplace_back();
    for (int side = 0; side < 2; ++side) {
      pair.push_back(trainer::EncodeRow(tokenizer, {}, items[i].prompt, items[i].responses[side]));
    }
  }
  const auto longest = [](const Batch& pair) {
    return std::max(pair[0].ids.size(), pair[1].ids.size());
  };
  std::stable_sort(pairs.begin(), pairs.end(),
                   [&](const Batch& a, const Batch& b) { return longest(a) < longest(b); });
  std::vector<Batch> batches;
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (i % kPairs == 0) batches.emplace_back();
    batches.back().insert(batches.back().end(), pairs[i].begin(), pairs[i].end());
  }
  return batches;
}

void WriteBatches(const std::vector<Batch>& batches, const TransformerShape& shape,
                  const std::string& path) {
  Json json = {{"vocabulary", shape.vocabulary},
               {"width", shape.width},
               {"layers", shape.layers},
               {"heads", shape.heads},
               {"positions", shape.positions}};
  for (const Batch& batch : batches) {
    Json rows = Json::array();
    for (const TokenRow& row : batch) rows.push_back({row.response_begin, row.ids});
    json["batches"].push_back(std::move(rows));
  }
  std::ofstream(path) << json.dump();
}

void BradleyTerry(trainer::HeadScores& scores) {
  const double share = 2 / static_cast<double>(scores.quality.size());
  for (size_t i = 0; i + 1 < scores.quality.size(); i += 2) {
    const double slope = trainer::Sigmoid(scores.quality[i] - scores.quality[i + 1]) - 1;
    scores.quality_slopes[i] = share * slope;
    scores.quality_slopes[i + 1] = -share * slope;
  }
}

// Tokens a CPU-second.
absl::StatusOr<double> OwnRate(const std::vector<Batch>& batches, const TransformerShape& shape) {
  ASSIGN_OR_RETURN(const auto learner,
                   trainer::TransformerLearner::Create(shape, 1, "cpu", kThreads));
  RETURN_IF_ERROR(learner->Step(batches[0], 0, 1e-4, 0.9, BradleyTerry));
  const double start = CpuSeconds();
  double tokens = 0;
  for (int64_t step = 1; CpuSeconds() - start < kSeconds; ++step) {
    const Batch& batch = batches[static_cast<size_t>(step) % batches.size()];
    RETURN_IF_ERROR(learner->Step(batch, step, 1e-4, 0.9, BradleyTerry));
    for (const TokenRow& row : batch) tokens += static_cast<double>(row.ids.size());
  }
  return tokens / (CpuSeconds() - start);
}

// Alternates three times; the best of each side.
absl::Status CompareSpeed(const std::vector<PreferenceItem>& train, Marks& marks) {
  const std::string python = PythonWith("torch");
  if (python.empty()) {
    std::printf(
        "transformer beside Python: skipped, no python3 with torch "
        "(apt-get install python3-torch)\n");
    return absl::OkStatus();
  }
  TransformerShape shape;
  ASSIGN_OR_RETURN(const std::vector<Batch> batches, MakeBatches(train, shape));
  const TemporaryFolder folder;
  const std::string file = folder.path() + "/batches.json";
  WriteBatches(batches, shape, file);
  double theirs = 0, ours = 0;
  for (int round = 0; round < 3; ++round) {
    double rate = 0;
    const Finished run =
        RunProgram({python, FAIRLEAD_SOURCE_FOLDER "/tests/bench/reward_reference.py", file,
                    absl::StrCat(kThreads), absl::StrCat(kSeconds)});
    if (absl::SimpleAtod(run.output, &rate)) theirs = std::max(theirs, rate);
    ASSIGN_OR_RETURN(rate, OwnRate(batches, shape));
    ours = std::max(ours, rate);
  }
  const double ratio = theirs > 0 ? ours / theirs : 0;
  marks.Figure("transformer", "trained tokens in Python", theirs, "/CPU-s");
  marks.Figure("transformer", "trained tokens", ours, "/CPU-s");
  marks.Check("transformer", "ratio", ratio, "times", "≥ 1.0", ratio >= 1);
  return absl::OkStatus();
}

}  // namespace

absl::Status MeasureTransformer(const std::vector<PreferenceItem>& train,
                                const std::vector<PreferenceItem>& dev, Marks& marks) {
  RETURN_IF_ERROR(CompareSpeed(train, marks));
  const TemporaryFolder folder;
  for (const char* model : {"linear", "transformer"}) {
    trainer::RewardTrainOptions options;
    options.model = model;
    options.device = "cpu";
    const std::string path = folder.path() + "/model";
    const double start = CpuSeconds();
    ASSIGN_OR_RETURN(const trainer::RewardTrainResult result,
                     trainer::TrainReward(train, options, path));
    const double seconds = CpuSeconds() - start;
    ASSIGN_OR_RETURN(const auto served, trainer::RewardModel::Load(path));
    const trainer::RewardMetrics metrics = served->Evaluate(dev);
    const std::string name = absl::StrCat("dev, ", model);
    marks.Figure(name, "accuracy", 100 * metrics.pair_accuracy, "%");
    marks.Figure(name, "NLL", metrics.negative_log_likelihood, "nats");
    marks.Figure(name, "calibration slope", metrics.calibration_slope, "");
    const auto epochs = result.metrics.find("epochs");
    if (epochs != result.metrics.end()) marks.Figure(name, "chosen epoch", epochs->second, "");
    marks.Figure(name, "training", seconds, "CPU-s");
  }
  return absl::OkStatus();
}

}  // namespace fairlead::bench
