#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/data/preference_file.h"
#include "trainer/train.h"

namespace fairlead::trainer {
namespace {

std::string ModelPath(const char* name) {
  return (std::filesystem::path(testing::TempDir()) / name).string();
}

// Responses of random words; the one with more "good" than "bad" words wins.
std::vector<PreferenceItem> SyntheticPairs(int count, double flipped) {
  PhiloxStream stream(11, 0, 0, 0);
  std::vector<PreferenceItem> items;
  for (int i = 0; i < count; ++i) {
    PreferenceItem item;
    item.id = absl::StrCat(i);
    item.responses.resize(2);
    int lead = 0;
    for (int side = 0; side < 2; ++side) {
      for (int word = 0; word < 12; ++word) {
        const uint32_t draw = stream.Below(40);
        if (draw < 8) lead += (draw < 4 ? 1 : -1) * (side == 0 ? 1 : -1);
        absl::StrAppend(&item.responses[side],
                        draw < 4   ? "good"
                        : draw < 8 ? "bad"
                                   : absl::StrCat("w", draw),
                        " ");
      }
    }
    double preference = lead > 0 ? 1 : lead < 0 ? 0 : 0.5;
    if (stream.Uniform(0, 1) < flipped) preference = 1 - preference;
    item.comparisons = {{0, 1, preference}};
    item.split = i % 5 == 0 ? Split::kValidation : i % 5 == 1 ? Split::kTest : Split::kTrain;
    items.push_back(item);
  }
  return items;
}

std::vector<PreferenceItem> TestItems(const std::vector<PreferenceItem>& items) {
  std::vector<PreferenceItem> test;
  for (const auto& item : items) {
    if (item.split == Split::kTest) test.push_back(item);
  }
  return test;
}

TEST(RewardTest, LearnsWhichWordsWinAndSurvivesItsFile) {
  const auto items = SyntheticPairs(2000, 0);
  const std::string path = ModelPath("reward.safetensors");
  const auto result = TrainReward(items, {}, path);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GT(result->test->pair_accuracy, 0.93);
  EXPECT_NEAR(result->test->length_only_accuracy, 0.5, 0.01);
  const auto model = RewardModel::Load(path);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_GT((*model)->Score("", "good"), (*model)->Score("", "bad"));
  EXPECT_NEAR((*model)->PreferA("", "good", "bad") + (*model)->PreferA("", "bad", "good"), 1, 1e-9);
  EXPECT_EQ((*model)->Evaluate(TestItems(items)).pair_accuracy, result->test->pair_accuracy);
  EXPECT_EQ((*model)->Disagreement("", "good", "bad"), 0);
}

TEST(RewardTest, WordsExplainTheScore) {
  const std::string path = ModelPath("why.safetensors");
  ASSERT_TRUE(TrainReward(SyntheticPairs(2000, 0), {}, path).ok());
  const auto model = RewardModel::Load(path);
  ASSERT_TRUE(model.ok()) << model.status();
  const auto words = (*model)->TopWords();
  ASSERT_GE(words.size(), 2u);
  EXPECT_TRUE((words[0].word == "good" && words[1].word == "bad") ||
              (words[0].word == "bad" && words[1].word == "good"))
      << words[0].word << ", " << words[1].word;
  const auto why = (*model)->Explain("", "w9 good w10", 1);
  ASSERT_EQ(why.size(), 1u);
  EXPECT_EQ(why[0].word, "good");
  EXPECT_GT(why[0].weight, 0);
}

TEST(RewardTest, EqualInputGivesEqualFiles) {
  const auto items = SyntheticPairs(300, 0.1);
  RewardTrainOptions options;
  options.model = "ensemble";
  ASSERT_TRUE(TrainReward(items, options, ModelPath("a.safetensors")).ok());
  ASSERT_TRUE(TrainReward(items, options, ModelPath("b.safetensors")).ok());
  options.seed = 2;
  ASSERT_TRUE(TrainReward(items, options, ModelPath("c.safetensors")).ok());
  const std::string a = *ReadWholeFile(ModelPath("a.safetensors"));
  EXPECT_EQ(Sha256Hex(a), Sha256Hex(*ReadWholeFile(ModelPath("b.safetensors"))));
  EXPECT_NE(Sha256Hex(a), Sha256Hex(*ReadWholeFile(ModelPath("c.safetensors"))));
  EXPECT_GT((*RewardModel::Load(ModelPath("a.safetensors")))->Disagreement("", "good", "bad"), 0);
}

TEST(RewardTest, NoisyLabelsAreNotBelievedToTheFull) {
  const auto clean = TrainReward(SyntheticPairs(3000, 0), {}, ModelPath("k.safetensors"));
  const auto noisy = TrainReward(SyntheticPairs(3000, 0.3), {}, ModelPath("n.safetensors"));
  ASSERT_TRUE(clean.ok() && noisy.ok());
  EXPECT_LT(noisy->test->negative_log_likelihood, 0.693);
  EXPECT_NEAR(noisy->test->calibration_slope, 1, 3 * noisy->test->calibration_slope_error);
  EXPECT_LT(noisy->test->calibration_error, 0.06);
}

TEST(RewardTest, ARankingTeachesWhatItsPairsDo) {
  std::vector<PreferenceItem> items = SyntheticPairs(1000, 0);
  for (PreferenceItem& item : items) {
    const double preference = item.comparisons[0].preference_a;
    item.comparisons.clear();
    if (preference == 0.5) {
      item.ranking = {{0, 1}};
    } else {
      item.ranking = preference == 1 ? std::vector<std::vector<int>>{{0}, {1}}
                                     : std::vector<std::vector<int>>{{1}, {0}};
    }
  }
  RewardTrainOptions options;
  const auto whole = TrainReward(items, options, ModelPath("pl.safetensors"));
  options.rankings_as_pairs = true;
  const auto pairs = TrainReward(items, options, ModelPath("bt.safetensors"));
  ASSERT_TRUE(whole.ok() && pairs.ok());
  EXPECT_GT(whole->test->pair_accuracy, 0.9);
  EXPECT_NEAR(whole->test->negative_log_likelihood, pairs->test->negative_log_likelihood, 1e-3);
}

TEST(RewardTest, ARoundFromTheChampionEndsWhereOneFitOfAllDoes) {
  const auto items = SyntheticPairs(1500, 0.1);
  const auto once = TrainReward(items, {}, ModelPath("once.safetensors"));
  ASSERT_TRUE(once.ok()) << once.status();
  RewardTrainOptions options;
  options.strength = once->metrics.at("strength");
  std::vector<PreferenceItem> half(items.begin(), items.begin() + 750);
  ASSERT_TRUE(TrainReward(half, options, ModelPath("half.safetensors")).ok());
  options.warm_start = ModelPath("half.safetensors");
  const auto round = TrainReward(items, options, ModelPath("round.safetensors"));
  ASSERT_TRUE(round.ok()) << round.status();
  EXPECT_NEAR(round->test->pair_accuracy, once->test->pair_accuracy, 0.005);
  EXPECT_NEAR(round->test->negative_log_likelihood, once->test->negative_log_likelihood, 1e-3);
}

TEST(RewardTest, ClearJudgementsGetAWeakPriorAndRandomOnesAStrong) {
  const auto clear = TrainReward(SyntheticPairs(300, 0), {}, ModelPath("clear.safetensors"));
  const auto random = TrainReward(SyntheticPairs(300, 0.5), {}, ModelPath("random.safetensors"));
  ASSERT_TRUE(clear.ok() && random.ok());
  EXPECT_LT(clear->metrics.at("strength"), 2);
  EXPECT_GT(random->metrics.at("strength"), 2);
}

TEST(RewardTest, ASingleResponseScoresAbove0WhenItIsSafe) {
  std::vector<PreferenceItem> items;
  for (PreferenceItem& pair : SyntheticPairs(600, 0)) {
    if (pair.comparisons[0].preference_a == 0.5) continue;
    PreferenceItem& item = items.emplace_back(pair);
    item.prompt = absl::StrCat("prompt ", pair.id);
    item.safe = pair.comparisons[0].preference_a == 1;
    item.comparisons.clear();
    item.responses.resize(1);
    absl::StrAppend(&item.responses[0], *item.safe ? "good good" : "bad bad");
  }
  RewardTrainOptions options;
  options.axis = "safe";
  const auto result = TrainReward(items, options, ModelPath("safe.safetensors"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GT(result->test->pair_accuracy, 0.9);
  EXPECT_GT(result->test->area_under_curve, 0.95);
  options.axis = "helpful";
  EXPECT_EQ(FieldOf(TrainReward(items, options, ModelPath("x")).status()), "axis");
}

TEST(RewardTest, RefusesBadInputByField) {
  auto items = SyntheticPairs(10, 0);
  items[3].comparisons[0].preference_a = 1.5;
  EXPECT_EQ(FieldOf(TrainReward(items, {}, "x").status()), "items[3].preference_a");
  items[3].comparisons = {{0, 2, 1}};
  EXPECT_EQ(FieldOf(TrainReward(items, {}, "x").status()), "items[3].comparisons");
  items[3].comparisons.clear();
  EXPECT_EQ(FieldOf(TrainReward(items, {}, "x").status()), "items[3]");
  items[3].ranking = {{0}, {0}};
  EXPECT_EQ(FieldOf(TrainReward(items, {}, "x").status()), "items[3].ranking");
  RewardTrainOptions options;
  options.bits = 40;
  EXPECT_EQ(FieldOf(TrainReward({}, options, "x").status()), "bits");
  options = {};
  options.model = "forest";
  EXPECT_EQ(FieldOf(TrainReward({}, options, "x").status()), "model");
  EXPECT_EQ(FieldOf(TrainReward({}, {}, "x").status()), "items");
}

TEST(RewardTest, AFileOfAnotherFormatOrATornOneIsNotLoaded) {
  const std::string path = ModelPath("torn.safetensors");
  ASSERT_TRUE(TrainReward(SyntheticPairs(100, 0), {}, path).ok());
  const std::string whole = *ReadWholeFile(path);
  std::ofstream(path, std::ios::binary) << whole.substr(0, whole.size() - 8);
  EXPECT_FALSE(RewardModel::Load(path).ok());
  ASSERT_TRUE(WriteFileAtomically(path, EncodeTensorFile({}, {{"format", "other"}})).ok());
  EXPECT_EQ(FieldOf(RewardModel::Load(path).status()), "model");
}

std::string SharedFolder() {
  const char* from_environment = std::getenv("FAIRLEAD_SHARED");
  return from_environment != nullptr ? from_environment : FAIRLEAD_SOURCE_FOLDER "/../shared";
}

TEST(RewardTest, BeatsChanceOnHumanHarmlessnessPairs) {
  const std::string folder = SharedFolder() + "/data/preference/hh_harmless/";
  const auto train = ReadPreferences({folder + "train5k.lastturn.jsonl.gz"});
  const auto dev = ReadPreferences({folder + "dev.jsonl.gz"});
  if (!train.ok() || !dev.ok()) GTEST_SKIP() << "no preference data at " << folder;
  EXPECT_EQ(train->items.size(), 5000u);
  EXPECT_EQ(dev->items.size(), 1169u);
  RewardTrainOptions options;
  options.strength = 4;
  const std::string path = ModelPath("hh.safetensors");
  ASSERT_TRUE(TrainReward(train->items, options, path).ok());
  const auto model = RewardModel::Load(path);
  ASSERT_TRUE(model.ok()) << model.status();
  const RewardMetrics metrics = (*model)->Evaluate(dev->items);
  RecordProperty("pair_accuracy", absl::StrCat(metrics.pair_accuracy));
  EXPECT_GT(metrics.pair_accuracy, 0.63);
  EXPECT_LT(metrics.negative_log_likelihood, 0.64);
}

}  // namespace
}  // namespace fairlead::trainer
