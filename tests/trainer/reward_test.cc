#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/reward/linear.h"
#include "trainer/train.h"

namespace fairlead::trainer {
namespace {

std::string ModelPath(const char* name) {
  return (std::filesystem::path(testing::TempDir()) / name).string();
}

// Responses of random words; the one with more "good" than "bad" words wins.
std::vector<PreferencePair> SyntheticPairs(int count, double flipped) {
  PhiloxStream stream(11, 0, 0, 0);
  std::vector<PreferencePair> pairs;
  for (int i = 0; i < count; ++i) {
    PreferencePair pair;
    pair.id = absl::StrCat(i);
    int lead = 0;
    for (int side = 0; side < 2; ++side) {
      std::string& text = side == 0 ? pair.response_a : pair.response_b;
      for (int word = 0; word < 12; ++word) {
        const uint32_t draw = stream.Below(40);
        if (draw < 8) lead += (draw < 4 ? 1 : -1) * (side == 0 ? 1 : -1);
        absl::StrAppend(&text, draw < 4 ? "good" : draw < 8 ? "bad" : absl::StrCat("w", draw), " ");
      }
    }
    pair.preference_a = lead > 0 ? 1 : lead < 0 ? 0 : 0.5;
    if (stream.Uniform(0, 1) < flipped) pair.preference_a = 1 - pair.preference_a;
    pair.split = i % 5 == 0 ? Split::kValidation : i % 5 == 1 ? Split::kTest : Split::kTrain;
    pairs.push_back(pair);
  }
  return pairs;
}

TEST(RewardTest, LearnsWhichWordsWinAndSurvivesItsFile) {
  const auto pairs = SyntheticPairs(2000, 0);
  const std::string path = ModelPath("reward.safetensors");
  const auto result = TrainReward(pairs, {}, path);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GT(result->test->pair_accuracy, 0.93);
  EXPECT_NEAR(result->test->length_only_accuracy, 0.5, 0.01);
  const auto model = RewardModel::Load(path);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_GT((*model)->Score("", "good"), (*model)->Score("", "bad"));
  EXPECT_NEAR((*model)->PreferA("", "good", "bad") + (*model)->PreferA("", "bad", "good"), 1, 1e-9);
  std::vector<PreferencePair> test;
  for (const auto& pair : pairs) {
    if (pair.split == Split::kTest) test.push_back(pair);
  }
  EXPECT_EQ((*model)->Evaluate(test).pair_accuracy, result->test->pair_accuracy);
}

TEST(RewardTest, EqualInputGivesEqualFiles) {
  const auto pairs = SyntheticPairs(300, 0.1);
  ASSERT_TRUE(TrainReward(pairs, {}, ModelPath("a.safetensors")).ok());
  ASSERT_TRUE(TrainReward(pairs, {}, ModelPath("b.safetensors")).ok());
  RewardTrainOptions other;
  other.seed = 2;
  ASSERT_TRUE(TrainReward(pairs, other, ModelPath("c.safetensors")).ok());
  const std::string a = *ReadWholeFile(ModelPath("a.safetensors"));
  EXPECT_EQ(Sha256Hex(a), Sha256Hex(*ReadWholeFile(ModelPath("b.safetensors"))));
  EXPECT_NE(Sha256Hex(a), Sha256Hex(*ReadWholeFile(ModelPath("c.safetensors"))));
}

TEST(RewardTest, NoisyLabelsAreNotBelievedToTheFull) {
  const auto result = TrainReward(SyntheticPairs(3000, 0.3), {}, ModelPath("n.safetensors"));
  ASSERT_TRUE(result.ok());
  EXPECT_LT(result->test->negative_log_likelihood, 0.693);
  EXPECT_GT(result->metrics.at("temperature"), 1.0);
}

TEST(RewardTest, RefusesBadInputByField) {
  auto pairs = SyntheticPairs(10, 0);
  pairs[3].preference_a = 1.5;
  const auto bad = TrainReward(pairs, {}, ModelPath("x.safetensors"));
  EXPECT_EQ(FieldOf(bad.status()), "pairs[3].preference_a");
  RewardTrainOptions options;
  options.bits = 40;
  EXPECT_EQ(FieldOf(TrainReward({}, options, "x").status()), "bits");
  EXPECT_EQ(FieldOf(TrainReward({}, {}, "x").status()), "pairs");
}

TEST(RewardTest, SubtractKeepsBucketsSortedAndDropsEqualOnes) {
  EXPECT_EQ(Subtract({{1, 1.f}, {3, 2.f}}, {{1, 1.f}, {2, 1.f}}),
            (SparseVector{{2, -1.f}, {3, 2.f}}));
}

std::vector<std::string> GzipLines(const std::string& path) {
  std::vector<std::string> lines;
  gzFile in = gzopen(path.c_str(), "rb");
  if (in == nullptr) return lines;
  std::vector<char> buffer(1 << 20);
  while (gzgets(in, buffer.data(), static_cast<int>(buffer.size())) != nullptr) {
    lines.emplace_back(buffer.data());
  }
  gzclose(in);
  return lines;
}

std::string SharedFolder() {
  const char* from_environment = std::getenv("FAIRLEAD_SHARED");
  return from_environment != nullptr ? from_environment : FAIRLEAD_SOURCE_FOLDER "/../shared";
}

std::string LastTurn(const std::string& dialogue) {
  const std::string mark = "\n\nAssistant:";
  return dialogue.substr(dialogue.rfind(mark) + mark.size());
}

TEST(RewardTest, BeatsChanceOnHumanHarmlessnessPairs) {
  const std::string folder = SharedFolder() + "/data/preference/hh_harmless/";
  const auto train = GzipLines(folder + "train5k.lastturn.jsonl.gz");
  const auto dev = GzipLines(folder + "dev.jsonl.gz");
  if (train.empty() || dev.empty()) GTEST_SKIP() << "no preference data at " << folder;
  std::vector<PreferencePair> pairs;
  for (size_t i = 0; i < train.size() + dev.size(); ++i) {
    const bool trains = i < train.size();
    const auto json = nlohmann::json::parse(trains ? train[i] : dev[i - train.size()]);
    PreferencePair pair;
    pair.response_a = json["chosen"];
    pair.response_b = json["rejected"];
    if (!trains) {
      pair.response_a = LastTurn(pair.response_a);
      pair.response_b = LastTurn(pair.response_b);
    }
    pair.split = !trains ? Split::kTest : i % 10 == 0 ? Split::kValidation : Split::kTrain;
    pairs.push_back(pair);
  }
  const auto result = TrainReward(pairs, {}, ModelPath("hh.safetensors"));
  ASSERT_TRUE(result.ok()) << result.status();
  RecordProperty("pair_accuracy", absl::StrCat(result->test->pair_accuracy));
  std::printf("hh: accuracy %.4f NLL %.4f length-only %.4f temperature %.2f seconds %.2f\n",
              result->test->pair_accuracy, result->test->negative_log_likelihood,
              result->test->length_only_accuracy, result->metrics.at("temperature"),
              result->metrics.at("seconds"));
  EXPECT_GT(result->test->pair_accuracy, 0.58);
  EXPECT_LT(result->test->negative_log_likelihood, 0.69);
}

}  // namespace
}  // namespace fairlead::trainer
