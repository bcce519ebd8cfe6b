#include "scheduler/quality/score.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>

#include "gtest/gtest.h"
#include "scheduler/quality/beta.h"
#include "scheduler/quality/redundancy.h"

namespace fairlead::quality {
namespace {

constexpr int64_t kDay = 86'400'000;

store::v1::Evidence Judged(double right, double weight = 1, bool gold = false) {
  store::v1::Evidence e;
  e.set_right(right);
  e.set_weight(weight);
  e.set_gold(gold);
  return e;
}

TEST(BetaTest, CdfAgreesWithClosedForms) {
  for (const double x : {0.01, 0.2, 0.5, 0.77, 0.99}) {
    EXPECT_NEAR(BetaCdf(1, 1, x), x, 1e-12);
    EXPECT_NEAR(BetaCdf(3, 1, x), x * x * x, 1e-12);
    EXPECT_NEAR(BetaCdf(1, 4, x), 1 - std::pow(1 - x, 4), 1e-12);
    EXPECT_NEAR(BetaCdf(2, 2, x), x * x * (3 - 2 * x), 1e-12);
    EXPECT_NEAR(BetaCdf(70.5, 12.25, x) + BetaCdf(12.25, 70.5, 1 - x), 1, 1e-10);
  }
}

TEST(BetaTest, QuantileInvertsCdf) {
  for (const double p : {0.05, 0.5, 0.95}) {
    EXPECT_NEAR(BetaCdf(4.5, 1.5, BetaQuantile(4.5, 1.5, p)), p, 1e-9);
    EXPECT_NEAR(BetaCdf(190, 10, BetaQuantile(190, 10, p)), p, 1e-8);
  }
}

// Halving alone, which cannot go astray.
double QuantileByHalving(double a, double b, double probability) {
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (BetaCdf(a, b, middle) < probability ? low : high) = middle;
  }
  return low;
}

TEST(BetaTest, QuantilesAreThoseOfHalving) {
  for (const double a : {0.3, 1.0, 1.5, 4.5, 30.0, 190.0, 5e3, 1e5}) {
    for (const double b : {0.3, 1.0, 1.5, 4.5, 30.0, 190.0, 5e3, 1e5}) {
      for (const double p : {0.001, 0.05, 0.5, 0.95, 0.999}) {
        EXPECT_NEAR(BetaQuantile(a, b, p), QuantileByHalving(a, b, p), 1e-9)
            << "a " << a << " b " << b << " p " << p;
      }
      EXPECT_EQ(BetaQuantile(a, b, 0), 0);
      EXPECT_EQ(BetaQuantile(a, b, 1), 1);
    }
  }
}

TEST(BetaTest, SamplesFollowTheDistributionAndTheirSeed) {
  const double a = 4.5, b = 1.5;
  int below_median = 0;
  double sum = 0;
  const int n = 20'000;
  const double median = BetaQuantile(a, b, 0.5);
  for (int i = 0; i < n; ++i) {
    const double x = BetaSample(a, b, MixSeeds(11, i));
    EXPECT_EQ(x, BetaSample(a, b, MixSeeds(11, i)));
    sum += x;
    below_median += x < median;
  }
  EXPECT_NEAR(sum / n, a / (a + b), 0.005);
  EXPECT_NEAR(static_cast<double>(below_median) / n, 0.5, 0.015);
}

// Whatever came before, between and after: what stays of a retracted answer is that it was
// forgotten for.
TEST(ScoreTest, ARetractedAnswerIsAsIfItHadNeverBeenJudgedButForTheForgetting) {
  std::mt19937 rng(20261127);
  const auto uniform = [&] { return std::uniform_real_distribution<>(0, 1)(rng); };
  for (int run = 0; run < 200; ++run) {
    const int answers = 1 + static_cast<int>(uniform() * 60);
    const auto wrong_gold = static_cast<int>(uniform() * answers);
    ContractorScore with, without;
    const store::v1::Evidence retracted = Judged(uniform(), 1, /*gold=*/true);
    EvidenceMark mark;
    int64_t now_ms = 1'800'000'000'000;
    for (int i = 0; i < answers; ++i) {
      now_ms += static_cast<int64_t>(uniform() * 20 * kDay);
      if (i == wrong_gold) {
        AddEvidence(retracted, now_ms, with);
        mark = MarkOf(with);
        Decay(now_ms, without);
        without.right *= kForgetAnswer;
        without.wrong *= kForgetAnswer;
        continue;
      }
      const store::v1::Evidence other = Judged(uniform(), uniform(), uniform() < 0.3);
      AddEvidence(other, now_ms, with);
      AddEvidence(other, now_ms, without);
    }
    RetractEvidence(retracted, mark, with);
    EXPECT_NEAR(with.right, without.right, 1e-9);
    EXPECT_NEAR(with.wrong, without.wrong, 1e-9);
    EXPECT_EQ(with.gold_seen, without.gold_seen);
    EXPECT_EQ(with.gold_right, without.gold_right);
  }
}

TEST(ScoreTest, NothingFallsBelowNothingByRetracting) {
  ContractorScore score;
  AddEvidence(Judged(1, 1, /*gold=*/true), 1, score);
  const EvidenceMark mark = MarkOf(score);
  for (int i = 0; i < 3; ++i) RetractEvidence(Judged(1, 1, /*gold=*/true), mark, score);
  RetractEvidence(Judged(NAN), mark, score);
  RetractEvidence(Judged(1, INFINITY), mark, score);
  EXPECT_EQ(score.right, 0);
  EXPECT_EQ(score.wrong, 0);
  EXPECT_EQ(score.gold_seen, 0);
  EXPECT_EQ(score.gold_right, 0);
  EXPECT_EQ(Quality(score).mean, Quality(ContractorScore()).mean);
}

TEST(ScoreTest, PriorIsThePublishedOne) {
  const Interval q = Quality(ContractorScore());
  EXPECT_DOUBLE_EQ(q.mean, 0.75);
  EXPECT_LT(q.low, 0.5);
  EXPECT_GT(q.high, 0.9);
}

TEST(ScoreTest, IntervalCoversTheTruthNineTimesInTen) {
  const uint32_t seed = 5;
  SCOPED_TRACE(seed);
  std::mt19937 rng(seed);
  int covered = 0;
  const int runs = 1'000;
  for (int run = 0; run < runs; ++run) {
    uint64_t draw = rng();
    const double truth = BetaSample(kPriorRight, kPriorWrong, draw);
    ContractorScore s;
    for (int i = 0; i < 40; ++i) {
      AddEvidence(Judged(std::bernoulli_distribution(truth)(rng)), 1'000, s);
    }
    const Interval q = Quality(s);
    covered += q.low <= truth && truth <= q.high;
  }
  EXPECT_NEAR(covered / static_cast<double>(runs), 0.9, 0.03);
}

TEST(ScoreTest, ProvenIsWhatTheIntervalsLowerEndSays) {
  std::mt19937 rng(4);
  for (int run = 0; run < 200; ++run) {
    ContractorScore s;
    s.right = static_cast<double>(rng() % 400) / 2;
    s.wrong = static_cast<double>(rng() % 100) / 2;
    const double low = Quality(s).low;
    EXPECT_TRUE(IsProven(s, low - 1e-6));
    EXPECT_FALSE(IsProven(s, low + 1e-6));
  }
}

TEST(ScoreTest, AbsenceWidensTheInterval) {
  ContractorScore s;
  for (int i = 0; i < 60; ++i) AddEvidence(Judged(1), kDay, s);
  const Interval now = Quality(s, kDay);
  const Interval later = Quality(s, kDay + 120 * kDay);
  EXPECT_GT(later.high - later.low, now.high - now.low);
  EXPECT_LT(later.mean, now.mean);
  EXPECT_EQ(Quality(s, 0).mean, now.mean) << "an earlier time changes nothing";
}

TEST(ScoreTest, EvidenceWithoutMeaningChangesNothing) {
  ContractorScore s;
  AddEvidence(Judged(0.5, 0), 1, s);
  AddEvidence(Judged(std::nan("")), 1, s);
  AddEvidence(Judged(1, std::numeric_limits<double>::infinity()), 1, s);
  EXPECT_EQ(Evidence(s), 0);
  AddEvidence(Judged(7, 3, true), 1, s);
  EXPECT_EQ(s.right, 1);
  EXPECT_EQ(s.gold_right, 1);
}

TEST(ScoreTest, PaceIsRobustAndLeavesQualityAlone) {
  ContractorScore s;
  for (int i = 0; i < 50; ++i) AddPace(10, s);
  const double before = Quality(s).mean;
  AddPace(80'000, s);
  // The mean of fifty answers of ten seconds and one coffee break that counts for two minutes.
  EXPECT_NEAR(ExpectedSeconds(s, 20), 12, 1);
  EXPECT_EQ(Quality(s).mean, before);
  AddPace(std::nan(""), s);
  AddPace(0, s);
  EXPECT_EQ(s.annotations, 53);
}

TEST(ScoreTest, UnknownPaceIsTheFallback) {
  EXPECT_NEAR(ExpectedSeconds(ContractorScore(), 20), 20, 1e-9);
  EXPECT_FALSE(ToScorecard(v1::TASK_KIND_PAIR, ContractorScore(), 60).has_median_pace());
}

TEST(ScoreTest, LapsesAreCensoredNotSlow) {
  EXPECT_NEAR(AcceptProbability(ContractorScore(), 60), 0.7, 1e-3);
  EXPECT_NEAR(AcceptProbability(ContractorScore(), 1), 0.7, 1e-3);
  ContractorScore prompt, absent;
  for (int i = 0; i < 10; ++i) {
    AddOfferOutcome(true, 5, 1, prompt);
    AddOfferOutcome(false, 60, 1, absent);
  }
  EXPECT_GT(AcceptProbability(prompt, 60), 0.95);
  EXPECT_LT(AcceptProbability(absent, 60), 0.2);
  EXPECT_LT(AcceptProbability(prompt, 5), AcceptProbability(prompt, 60));
  EXPECT_EQ(AcceptProbability(prompt, 0), 0);
  AddOfferOutcome(true, 5, 1 + 70 * kDay, absent);
  EXPECT_GT(AcceptProbability(absent, 60), 0.5) << "a bad week is forgotten";
}

// A contractor who accepts after `mean` seconds (exponential) when he is there, which he is with
// probability `present`; his offers stand for `window` seconds.
ContractorScore Responder(double mean, double present, double window, int offers) {
  std::mt19937 rng(static_cast<uint32_t>(mean * 1'000 + present * 100 + window));
  ContractorScore s;
  for (int i = 0; i < offers; ++i) {
    const double wait = std::exponential_distribution<>(1 / mean)(rng);
    const bool there = std::bernoulli_distribution(present)(rng);
    AddOfferOutcome(there && wait < window, there ? std::min(wait, window) : window, 1, s);
  }
  return s;
}

// E[T] as the header has it, the integral by small steps.
double ExpectedTime(const ContractorScore& s, double tau) {
  const double p = PresentProbability(s);
  const auto left = [&](double t) {
    return 1 - p * (1 - std::pow(s.present_seconds / (s.present_seconds + t), s.accept_shape));
  };
  const int steps = 4'000;
  double open = 0;
  for (int i = 0; i < steps; ++i) open += left((i + 0.5) * tau / steps) * tau / steps;
  return (open + kReofferSeconds * left(tau)) / (1 - left(tau));
}

TEST(OfferWindowTest, IsWhereTheExpectedTimeIsLeast) {
  for (const double mean : {5.0, 20.0, 60.0, 200.0}) {
    for (const double present : {0.3, 0.8}) {
      SCOPED_TRACE(testing::Message() << mean << " s, there " << present);
      const ContractorScore s = Responder(mean, present, 600, 200);
      double best = kHumaneWindowSeconds;
      for (double tau = kHumaneWindowSeconds; tau <= 600; tau += 1) {
        if (ExpectedTime(s, tau) < ExpectedTime(s, best)) best = tau;
      }
      EXPECT_NEAR(OfferWindowSeconds(s, 600), best, 1.5);
    }
  }
}

TEST(OfferWindowTest, IsShortForThePromptAndLongForTheSlow) {
  const double prompt = OfferWindowSeconds(Responder(5, 0.7, 600, 100), 600);
  const double slow = OfferWindowSeconds(Responder(60, 0.7, 600, 100), 600);
  std::printf("offer window of 600 s: accepts after 5 s %.0f, after 60 s %.0f\n", prompt, slow);
  EXPECT_LT(prompt, 40);
  EXPECT_GT(slow, 50);
  EXPECT_LT(slow, 200);
}

TEST(OfferWindowTest, LittleEvidenceOrAShortWindowLeavesTheProjects) {
  EXPECT_EQ(OfferWindowSeconds(ContractorScore(), 600), 600);
  EXPECT_EQ(OfferWindowSeconds(Responder(5, 0.9, 600, 9), 600), 600);
  EXPECT_EQ(OfferWindowSeconds(Responder(5, 0.0, 600, 40), 600), 600) << "he never accepted";
  const ContractorScore known = Responder(5, 0.7, 600, 100);
  EXPECT_EQ(OfferWindowSeconds(known, 20), 20);
  EXPECT_EQ(OfferWindowSeconds(known, kHumaneWindowSeconds), kHumaneWindowSeconds);
  ContractorScore later = known;
  Decay(365 * kDay, later);
  EXPECT_EQ(OfferWindowSeconds(later, 600), 600) << "forgotten";
  ContractorScore at_once;
  for (int i = 0; i < 50; ++i) AddOfferOutcome(true, 0, 1, at_once);
  EXPECT_EQ(OfferWindowSeconds(at_once, 600), kHumaneWindowSeconds);
}

// What it was shortened to is what it then learns from.
TEST(OfferWindowTest, DoesNotMakeItselfShorter) {
  const double learned = OfferWindowSeconds(Responder(60, 0.7, 600, 400), 600);
  double window = learned;
  for (int round = 0; round < 10; ++round) {
    window = OfferWindowSeconds(Responder(60, 0.7, window, 400), 600);
  }
  std::printf("accepts after 60 s: %.0f s, from its own offers %.0f s\n", learned, window);
  EXPECT_GT(window, 0.7 * learned);
}

TEST(OfferWindowTest, LeavesQualityAndResponsivenessAlone) {
  const ContractorScore s = Responder(5, 0.7, 600, 100);
  EXPECT_EQ(Quality(s).mean, Quality(ContractorScore()).mean);
  ContractorScore other = s;
  other.lapses = other.absences = other.present_seconds = 0;
  EXPECT_EQ(AcceptProbability(s, 60), AcceptProbability(other, 60));
}

TEST(RedundancyTest, FollowsTheTable) {
  const RedundancyLimits limits = Limits(v1::Redundancy());
  EXPECT_EQ(limits.min_answers, 1);
  EXPECT_EQ(limits.max_answers, 5);
  EXPECT_EQ(limits.target, 0.95);
  struct Row {
    int min, max, answers;
    double confidence;
    Verdict verdict;
    int want;
  };
  for (const Row& row :
       {Row{1, 5, 0, 0.99, Verdict::kMore, 1}, Row{1, 5, 1, 0.95, Verdict::kComplete, 1},
        Row{1, 5, 1, 0.94, Verdict::kMore, 2}, Row{3, 5, 1, 0.99, Verdict::kMore, 3},
        Row{1, 5, 5, 0.2, Verdict::kComplete, 5}, Row{1, 5, 6, 0.2, Verdict::kComplete, 6},
        Row{2, 5, 2, std::nan(""), Verdict::kMore, 3}}) {
    const auto d = DecideRedundancy({row.min, row.max, 0.95}, row.answers, row.confidence);
    EXPECT_EQ(d.verdict, row.verdict) << row.answers << " " << row.confidence;
    EXPECT_EQ(d.want, row.want);
  }
  v1::Redundancy high;
  high.set_min_answers(7);
  EXPECT_EQ(Limits(high).max_answers, 7);
}

TEST(RedundancyTest, ACheckOfALabelTakesTwoPeopleAtLeastAndAThirdWhenTheyDiffer) {
  const RedundancyLimits one = LimitsOfCheck({1, 1, 0.95});
  EXPECT_EQ(DecideRedundancy(one, 1, 0.99).verdict, Verdict::kMore);
  EXPECT_EQ(DecideRedundancy(one, 2, 0.99).verdict, Verdict::kComplete);
  EXPECT_EQ(DecideRedundancy(one, 2, 0.50).want, 3);
  EXPECT_EQ(DecideRedundancy(one, 3, 0.50).verdict, Verdict::kComplete);
  const RedundancyLimits many = LimitsOfCheck({3, 7, 0.95});
  EXPECT_EQ(many.min_answers, 3);
  EXPECT_EQ(many.max_answers, 7);
}

TEST(RedundancyTest, DoubtThatAllAnswersLeaveIsAnAdjudicators) {
  v1::Redundancy settings;
  settings.set_max_answers(3);
  settings.set_adjudicate_below(0.8);
  const RedundancyLimits limits = Limits(settings);
  EXPECT_EQ(limits.adjudicator_quality, 0.8) << "where the project does not say";
  EXPECT_EQ(DecideRedundancy(limits, 2, 0.5).want, 3);
  EXPECT_EQ(DecideRedundancy(limits, 3, 0.8).verdict, Verdict::kComplete);
  for (const double confidence : {0.79, 0.0, std::nan("")}) {
    const RedundancyDecision decision = DecideRedundancy(limits, 3, confidence);
    EXPECT_EQ(decision.verdict, Verdict::kMore) << confidence;
    EXPECT_EQ(decision.want, 4);
  }
  EXPECT_EQ(DecideRedundancy(limits, 4, 0.1).verdict, Verdict::kComplete) << "in any case";
  EXPECT_FALSE(IsAdjudicators(limits, 2, 0));
  EXPECT_TRUE(IsAdjudicators(limits, 3, 0));
  EXPECT_TRUE(IsAdjudicators(limits, 3, kAdjudicatorWaitMs - 1));
  EXPECT_FALSE(IsAdjudicators(limits, 3, kAdjudicatorWaitMs)) << "then it is anybody's";
  EXPECT_FALSE(IsAdjudicators(Limits(v1::Redundancy()), 5, 0)) << "off unless set";
  EXPECT_EQ(LimitsOfCheck(limits).adjudicate_below, 0.8);
}

TEST(RedundancyTest, AValuedTaskEndsWithAnAdjudicatorHoweverSureItIs) {
  v1::Redundancy settings;
  settings.set_min_answers(2);
  settings.set_max_answers(4);
  EXPECT_FALSE(LimitsOfTask(settings, 0, false).valued) << "unset";
  settings.set_adjudicate_priority(0);
  EXPECT_FALSE(LimitsOfTask(settings, 1, false).valued);
  const RedundancyLimits limits = LimitsOfTask(settings, 0, false);
  ASSERT_TRUE(limits.valued);
  EXPECT_EQ(DecideRedundancy(limits, 1, 0.99).want, 2);
  EXPECT_EQ(DecideRedundancy(limits, 2, 0.99).want, 3);
  EXPECT_EQ(DecideRedundancy(limits, 3, 0.99).verdict, Verdict::kComplete);
  EXPECT_EQ(DecideRedundancy(limits, 3, 0.5).want, 4);
  EXPECT_EQ(DecideRedundancy(limits, 4, 0.5).verdict, Verdict::kComplete);
  EXPECT_FALSE(IsAdjudicators(limits, 1, 0));
  EXPECT_TRUE(IsAdjudicators(limits, 2, 0));
  EXPECT_TRUE(IsAdjudicators(limits, 3, 0));
  EXPECT_FALSE(IsAdjudicators(limits, 2, kAdjudicatorWaitMs));
  settings.set_max_answers(2);
  EXPECT_EQ(DecideRedundancy(LimitsOfTask(settings, 0, false), 2, 0.99).want, 3)
      << "his is beyond the most";
  EXPECT_EQ(LimitsOfTask(settings, 0, true).max_answers, 3) << "a check";
}

}  // namespace
}  // namespace fairlead::quality
