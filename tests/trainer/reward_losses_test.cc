// Every loss against a slow one that follows the definition, and every gradient against finite
// differences.
#include "trainer/reward/losses.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

#include "common/base/philox.h"
#include "trainer/reward/linear.h"

namespace fairlead::trainer {
namespace {

using Levels = std::vector<std::vector<int>>;

// −log-likelihood of one strict order, term by term, over K − 1.
double SlowStrict(const std::vector<double>& scores, const std::vector<int>& order) {
  double loss = 0;
  for (size_t k = 0; k < order.size(); ++k) {
    double sum = 0;
    for (size_t j = k; j < order.size(); ++j) sum += std::exp(scores[order[j]]);
    loss -= scores[order[k]] - std::log(sum);
  }
  return loss / static_cast<double>(order.size() - 1);
}

// The mean of SlowStrict over every order that the levels allow.
double SlowWeak(const std::vector<double>& scores, Levels levels) {
  double sum = 0, count = 0;
  const std::function<void(size_t)> visit = [&](size_t level) {
    if (level == levels.size()) {
      std::vector<int> order;
      for (const auto& tied : levels) order.insert(order.end(), tied.begin(), tied.end());
      sum += SlowStrict(scores, order);
      count += 1;
      return;
    }
    std::sort(levels[level].begin(), levels[level].end());
    do {
      visit(level + 1);
    } while (std::next_permutation(levels[level].begin(), levels[level].end()));
  };
  visit(0);
  return sum / count;
}

void ExpectGradient(const std::function<double(const std::vector<double>&)>& loss,
                    std::vector<double> at, const std::vector<double>& gradient) {
  constexpr double kStep = 1e-5;
  for (size_t i = 0; i < at.size(); ++i) {
    const double kept = at[i];
    at[i] = kept + kStep;
    const double above = loss(at);
    at[i] = kept - kStep;
    const double below = loss(at);
    at[i] = kept;
    EXPECT_NEAR(gradient[i], (above - below) / (2 * kStep), 1e-7) << "of score " << i;
  }
}

std::vector<double> Drawn(uint32_t item, size_t count) {
  PhiloxStream stream(3, 0, item, 0);
  std::vector<double> scores(count);
  for (double& score : scores) score = 2 * stream.Normal();
  return scores;
}

TEST(RewardLossesTest, LogisticLossIsTheCrossEntropy) {
  for (const double margin : {-3.0, -0.2, 0.0, 1.5}) {
    for (const double target : {0.0, 0.3, 0.5, 1.0}) {
      const double p = 1 / (1 + std::exp(-margin));
      EXPECT_NEAR(LogisticLoss(margin, target),
                  -target * std::log(p) - (1 - target) * std::log(1 - p), 1e-12);
      ExpectGradient([&](const std::vector<double>& m) { return LogisticLoss(m[0], target); },
                     {margin}, {Sigmoid(margin) - target});
    }
  }
  EXPECT_EQ(LogisticLoss(800, 1), 0);
  EXPECT_EQ(LogisticLoss(-800, 1), 800);
  EXPECT_EQ(Sigmoid(-800), 0);
}

TEST(RewardLossesTest, SmoothingMixesBothAnswers) {
  const double margin = 0.7, smoothing = 0.05;
  EXPECT_NEAR(LogisticLoss(margin, SmoothTarget(1, smoothing)),
              -(1 - smoothing) * std::log(Sigmoid(margin)) - smoothing * std::log(Sigmoid(-margin)),
              1e-12);
  EXPECT_EQ(SmoothTarget(0.5, smoothing), 0.5) << "a tie stays one";
}

TEST(RewardLossesTest, PlackettLuceFollowsItsDefinitionTiesIncluded) {
  const std::vector<Levels> orders = {
      {{2}, {0}, {3}, {1}}, {{0, 1}, {2, 3}},   {{3}, {0, 1, 2}},          {{1, 3, 2}, {0}},
      {{0, 1, 2, 3}},       {{1}, {0, 3}, {2}}, {{2}, {1}, {0}, {3}, {4}}, {{4, 0}, {2, 1, 3}}};
  for (size_t i = 0; i < orders.size(); ++i) {
    const std::vector<double> scores = Drawn(static_cast<uint32_t>(i), 5);
    std::vector<double> gradient(5, 0.0);
    const double loss = PlackettLuceLoss(scores, orders[i], 1, absl::MakeSpan(gradient));
    EXPECT_NEAR(loss, SlowWeak(scores, orders[i]), 1e-10) << "order " << i;
    ExpectGradient([&](const std::vector<double>& at) { return SlowWeak(at, orders[i]); }, scores,
                   gradient);
    EXPECT_NEAR(std::accumulate(gradient.begin(), gradient.end(), 0.0), 0, 1e-12);
  }
}

TEST(RewardLossesTest, OfTwoPlackettLuceIsBradleyTerry) {
  const std::vector<double> scores = {0.4, -1.1};
  std::vector<double> gradient(2, 0.0);
  EXPECT_NEAR(PlackettLuceLoss(scores, {{1}, {0}}, 1, absl::MakeSpan(gradient)),
              LogisticLoss(-1.5, 1), 1e-12);
  EXPECT_NEAR(PlackettLuceLoss(scores, {{0, 1}}, 1, absl::MakeSpan(gradient)),
              LogisticLoss(1.5, 0.5), 1e-12);
}

TEST(RewardLossesTest, ScoresFarApartOverflowNothing) {
  std::vector<double> gradient(3, 0.0);
  const double loss =
      PlackettLuceLoss({500.0, -500.0, 0.0}, {{1}, {2}, {0}}, 1, absl::MakeSpan(gradient));
  EXPECT_NEAR(loss, (1000 + 500) / 2.0, 1e-6);
  for (const double slope : gradient) EXPECT_TRUE(std::isfinite(slope));
}

TEST(RewardLossesTest, AnItemsPairsAreOneElement) {
  PreferenceItem item;
  item.responses = {"a", "b", "c"};
  item.comparisons = {{0, 1, 1}, {0, 2, 0.75}, {1, 2, 0.5}};
  const std::vector<double> scores = {0.3, -0.2, 0.9};
  std::vector<double> gradient(3, 0.0);
  const double loss = ItemLoss(item, 0.1, scores, 2, absl::MakeSpan(gradient));
  const auto slow = [](const std::vector<double>& s) {
    return (LogisticLoss(s[0] - s[1], 0.9) + LogisticLoss(s[0] - s[2], 0.75 * 0.9 + 0.25 * 0.1) +
            LogisticLoss(s[1] - s[2], 0.5)) /
           3;
  };
  EXPECT_NEAR(loss, slow(scores), 1e-12);
  ExpectGradient([&](const std::vector<double>& s) { return 2 * slow(s); }, scores, gradient);
}

TEST(LengthLossTest, EqualsPearsonsCorrelationsAndItsSlopesFiniteDifferences) {
  PhiloxStream stream(8, 0, 0, 0);
  std::vector<double> quality(7), nuisance(7), length(7);
  for (size_t i = 0; i < 7; ++i) {
    length[i] = stream.Uniform(1, 5);
    quality[i] = stream.Normal() - length[i];
    nuisance[i] = stream.Normal();
  }
  std::vector<double> of_quality(7, 0.0), of_nuisance(7, 0.0), unused(7);
  const auto loss = [&] {
    return LengthLoss(quality, nuisance, length, 0, absl::MakeSpan(unused), absl::MakeSpan(unused));
  };
  const double at = LengthLoss(quality, nuisance, length, 2, absl::MakeSpan(of_quality),
                               absl::MakeSpan(of_nuisance));
  EXPECT_EQ(at, loss());
  const double rho = Correlation(quality, length, 0, absl::MakeSpan(unused));
  EXPECT_LT(rho, 0);
  EXPECT_NEAR(at, -rho - Correlation(nuisance, length, 0, absl::MakeSpan(unused)), 1e-12);
  const double step = 1e-6;
  for (size_t i = 0; i < 7; ++i) {
    for (auto [scores, slopes] :
         {std::pair(&quality, &of_quality), std::pair(&nuisance, &of_nuisance)}) {
      (*scores)[i] += step;
      const double above = loss();
      (*scores)[i] -= 2 * step;
      const double below = loss();
      (*scores)[i] += step;
      EXPECT_NEAR((*slopes)[i], 2 * (above - below) / (2 * step), 1e-7);
    }
  }
  EXPECT_NEAR(Correlation({1, 2, 3}, {5, 7, 9}, 0, absl::MakeSpan(unused)), 1, 1e-12);
  EXPECT_EQ(Correlation({2, 2, 2}, {5, 7, 9}, 1, absl::MakeSpan(unused)), 0);
}

}  // namespace
}  // namespace fairlead::trainer
