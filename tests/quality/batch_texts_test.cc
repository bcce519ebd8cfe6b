// Texts, ratings and pairs of whole sets.
#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "scheduler/quality/batch/aggregate_ratings.h"
#include "scheduler/quality/batch/aggregate_texts.h"
#include "scheduler/quality/batch/label_matrix.h"
#include "scheduler/quality/batch/rank_pairs.h"
#include "scheduler/quality/batch/rover.h"
#include "scheduler/quality/batch/words.h"
#include "scheduler/quality/beta.h"

namespace fairlead::quality::batch {
namespace {

LabelMatrix Matrix(int tasks, int contractors, size_t answers,
                   const std::vector<ClassLabel>& labels) {
  return *LabelMatrix::Build(tasks, contractors, static_cast<int>(answers), labels);
}

TEST(WordsTest, ComparesWithoutCaseAndPunctuation) {
  WordNumbers numbers;
  const auto a = numbers.Split(" It's, a  Well-known FACT.");
  const auto b = numbers.Split("it's a well known fact");
  ASSERT_EQ(a.size(), 5u);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].number, b[i].number);
  EXPECT_EQ(a[2].surface, "Well-");
  EXPECT_EQ(a[4].surface, "FACT.");
  EXPECT_TRUE(numbers.Split("... ").empty());
}

TEST(WordsTest, EditDistance) {
  EXPECT_EQ(EditDistance({}, {}), 0);
  EXPECT_EQ(EditDistance({1, 2, 3}, {}), 3);
  EXPECT_EQ(EditDistance({1, 2, 3, 4}, {1, 3, 5}), 2);
}

TEST(RoverTest, TakesTheWeightiestWordOfEachPlace) {
  const std::vector<std::vector<int32_t>> texts = {{1, 2, 3, 4}, {1, 9, 3, 4}, {1, 2, 3, 5, 4}};
  std::vector<int32_t> words;
  for (const ChosenWord& word : VoteWords(texts, {1, 1, 1})) words.push_back(word.number);
  EXPECT_EQ(words, (std::vector<int32_t>{1, 2, 3, 4}));
  words.clear();
  for (const ChosenWord& word : VoteWords(texts, {1, 3, 1})) words.push_back(word.number);
  EXPECT_EQ(words, (std::vector<int32_t>{1, 9, 3, 4}));
  EXPECT_TRUE(VoteWords({}, {}).empty());
  EXPECT_TRUE(VoteWords({{}, {}}, {1, 1}).empty());
}

TEST(AggregateTextsTest, FusesWordsThatNobodyWroteTogether) {
  const std::vector<std::string> texts = {"The quick brown box jumps over.",
                                          "the quick crown fox jumps over",
                                          "the thick brown fox jumps over"};
  const LabelMatrix answers = Matrix(1, 3, 3, {{0, 0, 0}, {0, 1, 1}, {0, 2, 2}});
  const std::vector<int32_t> none = {kUnknown};
  const TextLabels fused = *AggregateTexts(answers, texts, none, TextMethod::kAuto);
  EXPECT_TRUE(fused.by_words);
  EXPECT_EQ(fused.method, TextMethod::kRover);
  EXPECT_EQ(fused.label[0], "The quick brown fox jumps over.");
  EXPECT_GT(fused.confidence[0], 0.8);
  const TextLabels medoid = *AggregateTexts(answers, texts, none, TextMethod::kMedoid);
  EXPECT_EQ(medoid.label[0], texts[0]);
}

TEST(AggregateTextsTest, ShortTextsAreComparedAsTheyStand) {
  const std::vector<std::string> texts = {"12.50", "12,50", "12.60"};
  const LabelMatrix answers = Matrix(1, 4, 3, {{0, 0, 0}, {0, 1, 1}, {0, 2, 2}, {0, 3, 0}});
  const TextLabels result =
      *AggregateTexts(answers, texts, std::vector<int32_t>{kUnknown}, TextMethod::kAuto);
  EXPECT_FALSE(result.by_words);
  EXPECT_EQ(result.label[0], "12.50");
}

TEST(AggregateTextsTest, ReliabilityOutweighsNumbers) {
  // Two who copy each other's noise against one who agrees with a fourth on many tasks.
  std::vector<std::string> texts;
  std::vector<ClassLabel> labels;
  for (int task = 0; task < 30; ++task) {
    const int32_t right = static_cast<int32_t>(texts.size());
    texts.push_back("one two three four five six " + std::to_string(task));
    texts.push_back("one too tree for five sex " + std::to_string(task) + " a");
    texts.push_back("won two free four hive six " + std::to_string(task) + " b");
    labels.push_back({task, 0, right});
    if (task > 0) labels.push_back({task, 1, right});
    labels.push_back({task, 2, right + 1});
    labels.push_back({task, 3, right + 2});
  }
  const LabelMatrix answers = Matrix(30, 4, texts.size(), labels);
  const std::vector<int32_t> none(30, kUnknown);
  const TextLabels result = *AggregateTexts(answers, texts, none, TextMethod::kMedoid);
  EXPECT_EQ(result.label[0], texts[0]);
  EXPECT_LT(result.error[0], result.error[2]);
}

TEST(AggregateTextsTest, GoldPinsAndScalesTheStatedError) {
  uint64_t seed = 5;
  std::vector<std::string> texts;
  std::vector<ClassLabel> labels;
  std::vector<int32_t> gold;
  for (int task = 0; task < 40; ++task) {
    const int32_t truth = static_cast<int32_t>(texts.size());
    texts.push_back("alpha beta gamma delta epsilon zeta eta theta");
    for (int w = 0; w < 3; ++w) {  // All make the same two errors, and one of their own.
      texts.push_back("alpha bet gamma delta epsilon zeta heta t" +
                      std::to_string(NextRandom(seed) % 5));
      labels.push_back({task, w, truth + 1 + w});
    }
    gold.push_back(task < 30 ? truth : kUnknown);
  }
  const LabelMatrix answers = Matrix(40, 3, texts.size(), labels);
  const std::vector<int32_t> none(40, kUnknown);
  const TextLabels raw = *AggregateTexts(answers, texts, none, TextMethod::kAuto);
  const TextLabels scaled = *AggregateTexts(answers, texts, gold, TextMethod::kAuto);
  EXPECT_TRUE(scaled.calibrated_on_gold);
  EXPECT_EQ(scaled.label[0], texts[0]);
  EXPECT_EQ(scaled.confidence[0], 1);
  double stated_raw = 0;
  double stated = 0;
  for (int task = 30; task < 40; ++task) {
    stated_raw += raw.confidence[task] / 10;
    stated += scaled.confidence[task] / 10;
  }
  EXPECT_GT(stated_raw, 0.9);
  EXPECT_NEAR(stated, 5.0 / 8, 0.12);
}

TEST(AggregateTextsTest, OddSetsHaveNoNaN) {
  const std::vector<std::string> texts = {"", "a b c d e", "\xff\xfe", " "};
  const LabelMatrix sets[] = {Matrix(0, 0, 4, {}), Matrix(2, 1, 4, {{1, 0, 1}}),
                              Matrix(1, 3, 4, {{0, 0, 0}, {0, 1, 0}, {0, 2, 3}}),
                              Matrix(1, 3, 4, {{0, 0, 0}, {0, 1, 1}, {0, 2, 2}})};
  for (const LabelMatrix& answers : sets) {
    const std::vector<int32_t> none(answers.tasks(), kUnknown);
    for (const TextMethod method : {TextMethod::kAuto, TextMethod::kMedoid, TextMethod::kRover}) {
      const TextLabels result = *AggregateTexts(answers, texts, none, method);
      for (const double c : result.confidence) EXPECT_TRUE(c >= 0 && c <= 1) << c;
      for (const double e : result.error) EXPECT_TRUE(e >= 0 && e <= 1) << e;
    }
  }
  EXPECT_FALSE(AggregateTexts(sets[0], {}, {}, TextMethod::kAuto).ok());
  EXPECT_FALSE(ParseTextMethod("mv").ok());
}

TEST(AggregateRatingsTest, FindsBiasAndVariance) {
  uint64_t seed = 9;
  std::vector<double> values;
  std::vector<ClassLabel> labels;
  std::vector<double> truth;
  const double bias[] = {0, 0, 30, -5};
  const double noise[] = {2, 2, 2, 40};
  for (int task = 0; task < 200; ++task) {
    truth.push_back(100 * NextUniform(seed));
    for (int w = 0; w < 4; ++w) {
      const double error = (NextUniform(seed) + NextUniform(seed) - 1) * 2.4 * noise[w];
      labels.push_back({task, w, static_cast<int32_t>(values.size())});
      values.push_back(truth.back() + bias[w] + error);
    }
  }
  const LabelMatrix answers = Matrix(200, 4, values.size(), labels);
  const std::vector<int32_t> none(200, kUnknown);
  const auto rmse = [&](RatingMethod method) {
    const RatingLabels result = *AggregateRatings(answers, values, none, method);
    double squares = 0;
    double offset = 0;  // What all biases share cannot be known without gold.
    for (int t = 0; t < 200; ++t) offset += (result.label[t] - truth[t]) / 200;
    for (int t = 0; t < 200; ++t) squares += std::pow(result.label[t] - truth[t] - offset, 2);
    return std::sqrt(squares / 200);
  };
  EXPECT_LT(rmse(RatingMethod::kBias), rmse(RatingMethod::kMean) / 2);
  const RatingLabels result = *AggregateRatings(answers, values, none, RatingMethod::kAuto);
  EXPECT_GT(result.bias[2], result.bias[0] + 20);
  EXPECT_GT(result.variance[3], 5 * result.variance[0]);
}

TEST(AggregateRatingsTest, OddSetsHaveNoNaN) {
  const std::vector<double> values = {3, 3, 7};
  const LabelMatrix sets[] = {Matrix(0, 0, 3, {}), Matrix(2, 1, 3, {{1, 0, 1}}),
                              Matrix(2, 2, 3, {{0, 0, 0}, {0, 1, 1}, {1, 0, 0}}),
                              Matrix(2, 2, 3, {{0, 0, 0}, {0, 1, 2}, {1, 0, 0}})};
  for (const LabelMatrix& answers : sets) {
    const std::vector<int32_t> none(answers.tasks(), kUnknown);
    for (const RatingMethod method : {RatingMethod::kMean, RatingMethod::kBias}) {
      const RatingLabels result = *AggregateRatings(answers, values, none, method);
      for (const double label : result.label) EXPECT_TRUE(std::isfinite(label));
      for (const double c : result.confidence) EXPECT_TRUE(c >= 0 && c <= 1) << c;
      for (const double v : result.variance) EXPECT_GT(v, 0);
    }
  }
  const std::vector<double> broken = {3, NAN, 7};
  const auto result =
      AggregateRatings(sets[1], broken, std::vector<int32_t>(2, kUnknown), RatingMethod::kAuto);
  EXPECT_NE(result.status().message().find("values[1]"), std::string::npos);
}

// Twenty items in order of merit; contractors 0 to 3 follow it, 4 always says left.
std::vector<Preference> OrderedPairs(uint64_t seed) {
  std::vector<Preference> preferences;
  for (int round = 0; round < 400; ++round) {
    const auto left = static_cast<int32_t>(NextRandom(seed) % 20);
    const auto right = static_cast<int32_t>(NextRandom(seed) % 20);
    if (left == right) continue;
    for (int32_t w = 0; w < 5; ++w) {
      const double p = w == 4 ? 1 : 1 / (1 + std::exp(-(left - right) / 4.0));
      preferences.push_back({w, left, right, NextUniform(seed) < p ? 1.0 : 0.0});
    }
  }
  return preferences;
}

TEST(RankPairsTest, OrdersItemsAndFindsWhoDoesNotLook) {
  const PairScores fit = *RankPairs(21, 5, OrderedPairs(4));
  EXPECT_GT(fit.score[19], fit.score[10]);
  EXPECT_GT(fit.score[10], fit.score[0] + 1);
  EXPECT_EQ(fit.score[20], 0);  // Never compared.
  for (int w = 0; w < 4; ++w) EXPECT_GT(fit.attention[w], fit.attention[4] + 0.2);
  EXPECT_GT(fit.left_bias[4], 0.9);
}

TEST(RankPairsTest, OddSetsHaveNoNaN) {
  EXPECT_TRUE(RankPairs(0, 0, {})->score.empty());
  std::vector<Preference> one_sided(500, Preference{0, 0, 1, 1});
  const PairScores fit = *RankPairs(2, 1, one_sided);
  EXPECT_TRUE(std::isfinite(fit.score[0]));
  EXPECT_GT(fit.score[0], fit.score[1]);
  EXPECT_TRUE(fit.attention[0] > 0 && fit.attention[0] <= 1);
  const auto error = [](Preference p) {
    return std::string(RankPairs(2, 1, std::vector<Preference>{p}).status().message());
  };
  EXPECT_NE(error({0, 0, 2, 1}).find("preferences[0].right"), std::string::npos);
  EXPECT_NE(error({1, 0, 1, 1}).find("contractor"), std::string::npos);
  EXPECT_NE(error({0, 1, 1, 1}).find("the same item"), std::string::npos);
  EXPECT_NE(error({0, 0, 1, NAN}).find("left_preferred"), std::string::npos);
}

}  // namespace
}  // namespace fairlead::quality::batch
