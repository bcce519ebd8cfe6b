// TrainReward with a transformer: what it learns that a bag of words cannot, its file, its limits.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/reward/transformer_fit.h"
#include "trainer/train.h"

namespace fairlead::trainer {
namespace {

std::string ModelPath(const char* name) {
  return (std::filesystem::path(testing::TempDir()) / name).string();
}

// The response that says "yes" before "no" is better; between and around them are random words, so
// that words and runs of two of them are equally frequent on both sides.
std::vector<PreferenceItem> OrderedPairs(int count) {
  const char* fillers[] = {"sun", "rain", "wind", "snow", "fog", "hail"};
  PhiloxStream stream(21, 0, 0, 0);
  std::vector<PreferenceItem> items;
  for (int i = 0; i < count; ++i) {
    PreferenceItem item;
    item.id = absl::StrCat(i);
    item.prompt = absl::StrCat("question ", i);
    const bool first = stream.Below(2) == 0;
    for (const bool yes_leads : {first, !first}) {
      const auto filler = [&] { return fillers[stream.Below(6)]; };
      item.responses.push_back(absl::StrCat(filler(), " ", yes_leads ? "yes" : "no", " ", filler(),
                                            " ", yes_leads ? "no" : "yes", " ", filler()));
    }
    item.comparisons = {{0, 1, first ? 1.0 : 0.0}};
    item.split = i % 5 == 0 ? Split::kTest : Split::kTrain;
    items.push_back(std::move(item));
  }
  return items;
}

RewardTrainOptions TransformerOptions(int epochs) {
  RewardTrainOptions options;
  options.model = "transformer";
  options.device = "cpu";
  options.epochs = epochs;
  return options;
}

TEST(RewardTransformerTest, LearnsTheOrderThatABagOfWordsCannotSee) {
  const auto items = OrderedPairs(700);
  const auto linear = TrainReward(items, {}, ModelPath("order-linear"));
  const auto result = TrainReward(items, TransformerOptions(8), ModelPath("order"));
  ASSERT_TRUE(linear.ok()) << linear.status();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(linear->model, "linear");
  EXPECT_EQ(result->model, "transformer");
  EXPECT_LT(linear->test->pair_accuracy, 0.65);
  EXPECT_GT(result->test->pair_accuracy, 0.95);
  EXPECT_GT(result->cross_fold.count, 20);
  const auto model = RewardModel::Load(ModelPath("order"));
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_GT((*model)->PreferA("question 12", "sun yes fog no rain", "sun no fog yes rain"), 0.8);
  EXPECT_EQ((*model)->Disagreement("question", "yes", "no"), 0);
  // Without "yes" or "no" there is no order left: these are the words that matter.
  const auto why = (*model)->Explain("question 12", "sun yes fog no rain", 2);
  ASSERT_EQ(why.size(), 2u);
  EXPECT_TRUE(why[0].word == "yes" || why[0].word == "no") << why[0].word;
  std::string long_response;
  for (size_t i = 0; i <= (*model)->longest_explained(); ++i) long_response += "word ";
  EXPECT_TRUE((*model)->Explain("", long_response, 5).empty());
  EXPECT_TRUE((*model)->TopWords().empty());
  // auto takes it where it is tried, and does not try below its number of pairs.
  RewardTrainOptions options = TransformerOptions(8);
  options.model = "auto";
  options.auto_pairs = 500;
  EXPECT_EQ(TrainReward(items, options, ModelPath("auto"))->model, "transformer");
  options.auto_pairs = 600;
  EXPECT_EQ(TrainReward(items, options, ModelPath("auto"))->model, "linear");
}

// A short training of all kinds of judgements.
class RewardTransformerFileTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(TrainReward(Items(), TransformerOptions(1), ModelPath("whole")).ok());
  }

  static std::vector<PreferenceItem> Items() {
    std::vector<PreferenceItem> items = OrderedPairs(120);
    for (size_t i = 0; i < items.size(); i += 4) {
      items[i].comparisons.clear();
      items[i].responses.push_back("");
      items[i].responses.push_back("\xff\xc3 not text");
      items[i].ranking = {{1, 0}, {2}, {3}};
    }
    items[3].responses[0] = std::string(1 << 20, 'x');
    return items;
  }

  static TensorFile Whole() { return *TensorFile::Read(ModelPath("whole")); }

  static std::vector<float> Pieces(const TransformerReward& model) {
    for (const NamedValues& one : model.weights) {
      if (one.name == "pieces") return one.values;
    }
    return {};
  }

  // The whole file with some things changed, and a checksum of its own.
  static absl::Status LoadChanged(TensorMetadata changed, std::vector<TensorBytes> tensors) {
    TensorMetadata metadata = Whole().metadata();
    for (auto& [key, value] : changed) metadata[key] = value;
    const std::string path = ModelPath("changed");
    EXPECT_TRUE(WriteFileAtomically(path, EncodeTensorFile(tensors, metadata)).ok());
    return RewardModel::Load(path).status();
  }
};

TEST_F(RewardTransformerFileTest, EqualInputGivesEqualFilesAndScoresSurviveThem) {
  auto options = TransformerOptions(1);
  ASSERT_TRUE(TrainReward(Items(), options, ModelPath("again")).ok());
  const std::string whole = *ReadWholeFile(ModelPath("whole"));
  EXPECT_EQ(Sha256Hex(whole), Sha256Hex(*ReadWholeFile(ModelPath("again"))));
  options.seed = 2;
  ASSERT_TRUE(TrainReward(Items(), options, ModelPath("other")).ok());
  EXPECT_NE(Sha256Hex(whole), Sha256Hex(*ReadWholeFile(ModelPath("other"))));
  const auto once = RewardModel::Load(ModelPath("whole"));
  auto read = ReadTransformer(Whole(), "whole");
  ASSERT_TRUE(once.ok() && read.ok());
  const auto twice = ServeTransformer(*std::move(read));
  for (const char* response : {"", "sun yes fog no rain", "\xff", "unheard-of words, ½"}) {
    const double score = (*once)->Score("question", response);
    EXPECT_TRUE(std::isfinite(score));
    EXPECT_EQ(score, (*twice)->Score("question", response)) << response;
  }
}

TEST_F(RewardTransformerFileTest, ARoundGoesOnFromTheChampionsPiecesAndWeights) {
  auto options = TransformerOptions(1);
  options.warm_start = ModelPath("whole");
  ASSERT_TRUE(TrainReward(Items(), options, ModelPath("round")).ok());
  const auto round = ReadTransformer(*TensorFile::Read(ModelPath("round")), "round");
  const auto champion = ReadTransformer(Whole(), "whole");
  EXPECT_EQ(round->pieces, champion->pieces);
  const std::vector<float> from = Pieces(*champion), to = Pieces(*round);
  ASSERT_EQ(from.size(), to.size());
  double moved = 0, size = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    moved += std::pow(to[i] - from[i], 2);
    size += std::pow(from[i], 2);
  }
  EXPECT_GT(moved, 0);
  EXPECT_LT(moved, 0.01 * size);
  options.model = "linear";
  EXPECT_EQ(FieldOf(TrainReward(Items(), options, ModelPath("x")).status()), "warm_start");
}

TEST_F(RewardTransformerFileTest, HostileFilesAreRefusedWithTheReason) {
  const TensorFile whole = Whole();
  EXPECT_TRUE(LoadChanged({}, whole.tensors()).ok());
  EXPECT_TRUE(absl::IsDataLoss(LoadChanged({{"width", "95"}}, whole.tensors())));
  EXPECT_TRUE(absl::IsDataLoss(LoadChanged({{"width", "1024"}}, whole.tensors())));
  EXPECT_TRUE(absl::IsDataLoss(LoadChanged({{"layers", "1000000000"}}, whole.tensors())));
  EXPECT_TRUE(absl::IsDataLoss(LoadChanged({{"vocabulary", "-1"}}, whole.tensors())));
  EXPECT_TRUE(absl::IsDataLoss(LoadChanged({{"heads", "5"}}, whole.tensors())));
  EXPECT_TRUE(absl::IsDataLoss(LoadChanged({{"temperature", "nan"}}, whole.tensors())));
  EXPECT_TRUE(absl::IsDataLoss(LoadChanged({{"axis", "funny"}}, whole.tensors())));
  std::vector<TensorBytes> tensors = whole.tensors();
  tensors.erase(tensors.begin());  // The pieces.
  EXPECT_TRUE(absl::IsDataLoss(LoadChanged({}, tensors)));
  tensors = whole.tensors();
  tensors.pop_back();
  EXPECT_TRUE(absl::IsDataLoss(LoadChanged({}, tensors)));
  std::string poisoned(tensors.back().bytes);
  const float infinite = INFINITY;
  poisoned.replace(0, sizeof(infinite), reinterpret_cast<const char*>(&infinite), sizeof(infinite));
  tensors.back().bytes = poisoned;
  EXPECT_TRUE(absl::IsDataLoss(LoadChanged({}, tensors)));
  EXPECT_EQ(FieldOf(LoadChanged({{"format", "fairlead.reward.transformer.v9"}}, whole.tensors())),
            "model");
  const std::string bytes = *ReadWholeFile(ModelPath("whole"));
  ASSERT_TRUE(WriteFileAtomically(ModelPath("torn"), bytes.substr(0, bytes.size() - 9)).ok());
  EXPECT_TRUE(absl::IsDataLoss(RewardModel::Load(ModelPath("torn")).status()));
}

TEST(RewardTransformerTest, LengthIsLearntBesideAndNotServed) {
  // The longer response wins, whatever it says.
  std::vector<PreferenceItem> items = OrderedPairs(400);
  for (PreferenceItem& item : items) {
    item.comparisons = {{0, 1, 1.0}};
    for (int i = 0; i < 8; ++i) absl::StrAppend(&item.responses[0], " sun");
    item.split = Split::kTrain;
  }
  auto options = TransformerOptions(6);
  ASSERT_TRUE(TrainReward(items, options, ModelPath("length")).ok());
  options.drop_length = true;
  ASSERT_TRUE(TrainReward(items, options, ModelPath("dropped")).ok());
  const auto with = ReadTransformer(*TensorFile::Read(ModelPath("length")), "length");
  const auto without = ReadTransformer(*TensorFile::Read(ModelPath("dropped")), "dropped");
  const auto lead = [&](const TransformerReward& model) {
    const auto served = ServeTransformer(model);
    return model.temperature * ((*served)->Score("", items[0].responses[0]) -
                                (*served)->Score("", items[0].responses[1]));
  };
  EXPECT_GT(lead(*with), 1);
  EXPECT_LT(lead(*without), lead(*with) / 2);
}

}  // namespace
}  // namespace fairlead::trainer
