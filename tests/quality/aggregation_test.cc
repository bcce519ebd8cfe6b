#include "scheduler/quality/aggregation.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace fairlead::quality {
namespace {

v1::AnswerSchema Schema(v1::TaskKind kind, int classes = 0) {
  v1::AnswerSchema schema;
  schema.set_kind(kind);
  for (int i = 0; i < classes; ++i) schema.add_classes(absl::StrCat("c", i));
  schema.set_min_rating(1);
  schema.set_max_rating(5);
  return schema;
}

v1::Answer Parsed(v1::TaskKind kind, const std::string& key) {
  return ParseAnswer(kind, key).value();
}

Vote By(int contractor, v1::TaskKind kind, const std::string& key, double quality) {
  return {absl::StrCat("w", contractor), Parsed(kind, key), quality};
}

TEST(AnswerTest, KeysReadBack) {
  const std::vector<std::pair<v1::TaskKind, std::string>> rows = {
      {v1::TASK_KIND_IMAGE_TEXT, "12.50"}, {v1::TASK_KIND_IMAGE_TEXT, "a\\tb\\\\c"},
      {v1::TASK_KIND_CLASS, "cat"},        {v1::TASK_KIND_PAIR, "TIE"},
      {v1::TASK_KIND_RANKING, "2>0>1"},    {v1::TASK_KIND_RATING, "0.1"},
      {v1::TASK_KIND_RATING, "3"},         {v1::TASK_KIND_FREE_TEXT, "two\\nlines"}};
  for (const auto& [kind, key] : rows) EXPECT_EQ(AnswerKey(Parsed(kind, key)), key);
  EXPECT_EQ(AnswerKey(v1::Answer()), "");
}

TEST(AnswerTest, MalformedKeysAreRefused) {
  const std::vector<std::pair<v1::TaskKind, std::string>> rows = {
      {v1::TASK_KIND_PAIR, "C"},      {v1::TASK_KIND_RANKING, "0>0"},
      {v1::TASK_KIND_RANKING, "0>2"}, {v1::TASK_KIND_RATING, "nan"},
      {v1::TASK_KIND_RATING, "x"},    {v1::TASK_KIND_IMAGE_TEXT, "a\\"},
      {v1::TASK_KIND_CLASS, "\\q"},   {v1::TASK_KIND_UNSPECIFIED, "x"},
      {v1::TASK_KIND_RANKING, ""}};
  for (const auto& [kind, key] : rows) EXPECT_FALSE(ParseAnswer(kind, key).ok()) << key;
}

TEST(AnswerTest, OnlyOuterWhitespaceIsNormalised) {
  const auto schema = Schema(v1::TASK_KIND_IMAGE_TEXT);
  const auto text = [](const char* t) {
    v1::Answer a;
    a.set_text(t);
    return a;
  };
  EXPECT_TRUE(SameAnswer(schema, text(" 1.50\n"), text("1.50")));
  EXPECT_FALSE(SameAnswer(schema, text("Total"), text("total")));
  EXPECT_FALSE(SameAnswer(schema, text("1 50"), text("1  50")));
}

// P(class | votes) by enumerating the truth; the textbook formula, written without log-odds.
std::vector<double> BruteForce(const std::vector<std::pair<int, double>>& votes, int classes) {
  std::vector<double> posterior(classes, 1);
  double total = 0;
  for (int truth = 0; truth < classes; ++truth) {
    for (const auto& [label, q] : votes) {
      const double p = std::clamp(q, 1.0 / classes + 0.01, 0.98);
      posterior[truth] *= label == truth ? p : (1 - p) / (classes - 1);
    }
    total += posterior[truth];
  }
  for (double& p : posterior) p /= total;
  return posterior;
}

TEST(AggregationTest, EqualsBruteForceBayes) {
  const uint32_t seed = 17;
  std::mt19937 rng(seed);
  for (int run = 0; run < 500; ++run) {
    SCOPED_TRACE(absl::StrCat("seed ", seed, " run ", run));
    const int classes = 2 + rng() % 4;
    std::vector<std::pair<int, double>> plain;
    std::vector<Vote> votes;
    for (int i = 0; i < static_cast<int>(1 + rng() % 5); ++i) {
      plain.emplace_back(rng() % classes, std::uniform_real_distribution<>(0.01, 0.999)(rng));
      votes.push_back(
          By(i, v1::TASK_KIND_CLASS, absl::StrCat("c", plain.back().first), plain.back().second));
    }
    const auto posterior = BruteForce(plain, classes);
    const Consensus c = Aggregate(Schema(v1::TASK_KIND_CLASS, classes), votes, std::nullopt);
    const int chosen = c.answer.class_name()[1] - '0';
    std::vector<bool> seen(classes, false);
    for (const auto& vote : plain) seen[vote.first] = true;
    double best = 0;
    for (int k = 0; k < classes; ++k) {
      if (seen[k]) best = std::max(best, posterior[k]);
    }
    EXPECT_NEAR(c.confidence, best, 1e-9);
    EXPECT_NEAR(posterior[chosen], best, 1e-9);
    std::shuffle(votes.begin(), votes.end(), rng);
    const Consensus again = Aggregate(Schema(v1::TASK_KIND_CLASS, classes), votes, std::nullopt);
    EXPECT_EQ(again.confidence, c.confidence) << "the order of votes must not matter";
    EXPECT_EQ(AnswerKey(again.answer), AnswerKey(c.answer));
  }
}

TEST(AggregationTest, WeightsBeatMajorityAndConfidenceIsCalibrated) {
  const uint32_t seed = 23;
  SCOPED_TRACE(seed);
  std::mt19937 rng(seed);
  for (const int classes : {2, 4, 20}) {
    std::vector<double> quality;
    for (int w = 0; w < 30; ++w) {
      quality.push_back(std::uniform_real_distribution<>(1.0 / classes + 0.05, 0.97)(rng));
    }
    int weighted = 0, majority = 0;
    std::map<int, std::pair<double, double>> bins;  // Decile → sum of confidence, of right.
    std::map<int, int> count;
    const int tasks = 12'000;
    for (int t = 0; t < tasks; ++t) {
      std::vector<Vote> votes, equal;
      // Rotated, so that the rule for ties helps nobody.
      const int truth = t % classes;
      const std::string true_class = absl::StrCat("c", truth);
      for (int i = 0; i < 5; ++i) {
        const int w = i * 6 + rng() % 6;
        int label = truth;
        if (!std::bernoulli_distribution(quality[w])(rng))
          label = (truth + 1 + rng() % (classes - 1)) % classes;
        votes.push_back(By(w, v1::TASK_KIND_CLASS, absl::StrCat("c", label), quality[w]));
        equal.push_back(votes.back());
        equal.back().quality = 0.7;
      }
      const Consensus c = Aggregate(Schema(v1::TASK_KIND_CLASS, classes), votes, std::nullopt);
      const bool right = c.answer.class_name() == true_class;
      weighted += right;
      majority += Aggregate(Schema(v1::TASK_KIND_CLASS, classes), equal, std::nullopt)
                      .answer.class_name() == true_class;
      const int bin = static_cast<int>(c.confidence * 10);
      bins[bin].first += c.confidence;
      bins[bin].second += right;
      ++count[bin];
    }
    std::printf("%d classes: weighted %.4f majority %.4f\n", classes, weighted / double(tasks),
                majority / double(tasks));
    EXPECT_GT(weighted, majority + tasks / 100) << classes;
    double confidence = 0, right = 0;
    for (const auto& [bin, sums] : bins) {
      confidence += sums.first;
      right += sums.second;
      if (count[bin] >= 1'000) {
        EXPECT_NEAR(sums.first / count[bin], sums.second / count[bin], 0.03)
            << classes << " " << bin;
      }
    }
    EXPECT_NEAR(confidence / tasks, right / tasks, 0.015) << classes;
  }
}

TEST(AggregationTest, TextsCompeteWithUnseenAlternatives) {
  const auto schema = Schema(v1::TASK_KIND_IMAGE_TEXT);
  const auto one = Aggregate(schema, {By(1, schema.kind(), "7.90", 0.8)}, std::nullopt);
  EXPECT_NEAR(one.confidence, 0.8, 1e-9);
  EXPECT_EQ(one.method, "one-coin/1");
  const auto two = Aggregate(
      schema, {By(1, schema.kind(), "7.90", 0.8), By(2, schema.kind(), "7.90", 0.8)}, std::nullopt);
  EXPECT_GT(two.confidence, 0.99);
}

TEST(AggregationTest, ModelIsOneMoreDiscountedVoter) {
  const auto schema = Schema(v1::TASK_KIND_IMAGE_TEXT);
  const std::vector<Vote> votes = {By(1, schema.kind(), "7.90", 0.8)};
  const ModelVote model{Parsed(schema.kind(), "7.90"), 0.9};
  const auto with = Aggregate(schema, votes, model);
  EXPECT_TRUE(with.used_prelabel);
  EXPECT_GT(with.confidence, 0.95);
  const auto human = Aggregate(
      schema, {By(1, schema.kind(), "7.90", 0.8), By(2, schema.kind(), "7.90", 0.9)}, std::nullopt);
  EXPECT_LT(with.confidence, human.confidence);
  const auto alone = Aggregate(schema, {}, ModelVote{Parsed(schema.kind(), "7.90"), 1.0});
  EXPECT_NEAR(alone.confidence, 0.97, 1e-9);
  EXPECT_FALSE(Aggregate(schema, votes, std::nullopt).used_prelabel);
  const ModelVote wrong_kind{Parsed(v1::TASK_KIND_PAIR, "A"), 0.9};
  EXPECT_FALSE(Aggregate(schema, votes, wrong_kind).used_prelabel);
}

TEST(AggregationTest, EdgesAreDefined) {
  const auto schema = Schema(v1::TASK_KIND_PAIR);
  EXPECT_EQ(Aggregate(schema, {}, std::nullopt).confidence, 0);
  const auto tie = Aggregate(
      schema, {By(2, schema.kind(), "B", 0.8), By(1, schema.kind(), "A", 0.8)}, std::nullopt);
  EXPECT_EQ(AnswerKey(tie.answer), "A");
  EXPECT_NEAR(tie.confidence, 0.5, 1e-12);
  const auto twice = Aggregate(
      schema, {By(1, schema.kind(), "A", 0.8), By(1, schema.kind(), "A", 0.8)}, std::nullopt);
  EXPECT_NEAR(twice.confidence, 0.8, 1e-12) << "a contractor counts once";
  const auto nan = Aggregate(schema, {By(1, schema.kind(), "A", std::nan(""))}, std::nullopt);
  EXPECT_NEAR(nan.confidence, 0.51, 1e-12);
}

TEST(AggregationTest, RatingIsTheReliableMedian) {
  const auto schema = Schema(v1::TASK_KIND_RATING);
  const auto k = schema.kind();
  const auto close = Aggregate(
      schema, {By(1, k, "4", 0.9), By(2, k, "4.2", 0.9), By(3, k, "1", 0.5)}, std::nullopt);
  EXPECT_EQ(close.answer.rating(), 4);
  const auto spread =
      Aggregate(schema, {By(1, k, "1", 0.9), By(2, k, "3", 0.9), By(3, k, "5", 0.9)}, std::nullopt);
  EXPECT_EQ(spread.answer.rating(), 3);
  EXPECT_GT(close.confidence, 0.9);
  EXPECT_LT(spread.confidence, 0.5);
}

TEST(AggregationTest, RankingFollowsPairwiseMajority) {
  const auto schema = Schema(v1::TASK_KIND_RANKING);
  const auto k = schema.kind();
  const auto c =
      Aggregate(schema, {By(1, k, "0>1>2", 0.9), By(2, k, "0>2>1", 0.6), By(3, k, "1>0>2", 0.6)},
                std::nullopt);
  EXPECT_EQ(AnswerKey(c.answer), "0>1>2");
  const auto sure =
      Aggregate(schema, {By(1, k, "2>1>0", 0.9), By(2, k, "2>1>0", 0.9)}, std::nullopt);
  EXPECT_EQ(AnswerKey(sure.answer), "2>1>0");
  EXPECT_GT(sure.confidence, c.confidence);
}

TEST(AggregationTest, FreeTextIsTheReliableMedoid) {
  const auto schema = Schema(v1::TASK_KIND_FREE_TEXT);
  const auto k = schema.kind();
  const auto c =
      Aggregate(schema,
                {By(1, k, "the quick brown fox", 0.8), By(2, k, "the quick brown fax", 0.8),
                 By(3, k, "something else entirely", 0.8), By(4, k, "the quick brawn fox", 0.8)},
                std::nullopt);
  EXPECT_EQ(c.answer.free_text(), "the quick brown fox");
  const std::string page(60'000, 'x');
  const auto huge =
      Aggregate(schema, {By(1, k, page, 0.8), By(2, k, page + " y", 0.8)}, std::nullopt);
  EXPECT_GT(huge.confidence, 0.5);
}

}  // namespace
}  // namespace fairlead::quality
