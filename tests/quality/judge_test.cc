#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "scheduler/quality/aggregation.h"
#include "scheduler/quality/one_coin.h"
#include "scheduler/quality/score.h"

namespace fairlead::quality {
namespace {

v1::AnswerSchema TextSchema() {
  v1::AnswerSchema schema;
  schema.set_kind(v1::TASK_KIND_IMAGE_TEXT);
  return schema;
}

Vote Text(int contractor, const std::string& text, double quality) {
  Vote vote;
  vote.contractor = absl::StrCat("w", contractor);
  vote.answer.set_text(text);
  vote.quality = quality;
  return vote;
}

TEST(JudgeTest, OneVoteAloneIsNoEvidence) {
  EXPECT_TRUE(Judge(TextSchema(), {Text(1, "a", 0.9)}, std::nullopt, nullptr).empty());
  EXPECT_TRUE(
      Judge(TextSchema(), {Text(1, "a", 0.9), Text(1, "a", 0.9)}, std::nullopt, nullptr).empty());
  ModelVote model;
  model.answer.set_text("a");
  model.confidence = 0.9;
  EXPECT_EQ(Judge(TextSchema(), {Text(1, "a", 0.9)}, model, nullptr).size(), 1u);
}

TEST(JudgeTest, GoldIsRightOrWrongWithWeightOne) {
  v1::Answer gold;
  gold.set_text("a");
  const auto verdicts =
      Judge(TextSchema(), {Text(2, "b", 0.9), Text(1, " a ", 0.2)}, std::nullopt, &gold);
  ASSERT_EQ(verdicts.size(), 2u);
  EXPECT_EQ(verdicts[0].contractor(), "w1");
  EXPECT_EQ(verdicts[0].right(), 1);
  EXPECT_EQ(verdicts[1].right(), 0);
  EXPECT_EQ(verdicts[1].weight(), 1);
  EXPECT_TRUE(verdicts[1].gold());
}

// The verdict on a voter must be what the other votes alone say of his answer, whatever he votes.
TEST(JudgeTest, NeverUsesTheVotersOwnVote) {
  const uint32_t seed = 31;
  std::mt19937 rng(seed);
  for (int run = 0; run < 300; ++run) {
    SCOPED_TRACE(absl::StrCat("seed ", seed, " run ", run));
    std::vector<Vote> votes;
    const int n = 2 + rng() % 4;
    for (int i = 0; i < n; ++i) {
      votes.push_back(
          Text(i, absl::StrCat("t", rng() % 3), std::uniform_real_distribution<>(0.3, 0.9)(rng)));
    }
    const auto verdicts = Judge(TextSchema(), votes, std::nullopt, nullptr);
    ASSERT_EQ(verdicts.size(), votes.size());
    for (int i = 0; i < n; ++i) {
      OneCoin others(20);
      for (int j = 0; j < n; ++j) {
        if (j != i) others.Add(votes[j].answer.text(), votes[j].quality);
      }
      EXPECT_NEAR(verdicts[i].right(),
                  RightProbability(others.Posterior(votes[i].answer.text()), votes[i].quality, 20),
                  1e-12);
      EXPECT_NEAR(verdicts[i].weight(), (others.BestPosterior() - 0.05) / 0.95, 1e-12);
    }
  }
}

struct Learned {
  std::vector<double> truth, estimate;
  double label_accuracy = 0;
};

// Contractors judge each other in pairs only, without gold, starting from the prior.
Learned LearnFromEachOther(uint32_t seed, int votes_per_task) {
  std::mt19937 rng(seed);
  Learned out;
  const int n = 20;
  std::vector<ContractorScore> scores(n);
  for (int w = 0; w < n; ++w) out.truth.push_back(0.55 + 0.43 * w / (n - 1));
  int right = 0;
  const int tasks = 4'000;
  for (int t = 0; t < tasks; ++t) {
    std::vector<Vote> votes;
    std::vector<int> order(n);
    for (int i = 0; i < n; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), rng);
    for (int i = 0; i < votes_per_task; ++i) {
      const int w = order[i];
      const bool correct = std::bernoulli_distribution(out.truth[w])(rng);
      votes.push_back(
          Text(w, correct ? "truth" : absl::StrCat("e", rng() % 19), QualityMean(scores[w])));
    }
    right += AnswerKey(Aggregate(TextSchema(), votes, std::nullopt).answer) == "truth";
    for (const auto& e : Judge(TextSchema(), votes, std::nullopt, nullptr)) {
      AddEvidence(e, 1, scores[std::stoi(e.contractor().substr(1))]);
    }
  }
  for (const ContractorScore& s : scores) out.estimate.push_back(QualityMean(s));
  out.label_accuracy = static_cast<double>(right) / tasks;
  return out;
}

TEST(JudgeTest, ScoresFindTheTrueQualityWithoutGold) {
  for (const int votes : {2, 3}) {
    const Learned learned = LearnFromEachOther(41, votes);
    double error = 0, bias = 0;
    for (size_t w = 0; w < learned.truth.size(); ++w) {
      error += std::abs(learned.estimate[w] - learned.truth[w]) / learned.truth.size();
      bias += (learned.estimate[w] - learned.truth[w]) / learned.truth.size();
    }
    std::printf("votes %d: mean error %.3f bias %+.3f label accuracy %.3f\n", votes, error, bias,
                learned.label_accuracy);
    EXPECT_LT(error, 0.07) << votes;
    EXPECT_LT(std::abs(bias), 0.05) << votes;
    EXPECT_GT(learned.estimate.back(), learned.estimate.front() + 0.2) << votes;
  }
}

}  // namespace
}  // namespace fairlead::quality
