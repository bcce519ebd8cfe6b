#include "trainer/loop/readout.h"

#include <gtest/gtest.h>

#include <cmath>

#include "common/base/philox.h"
#include "common/base/status.h"
#include "trainer/loop/plan.h"
#include "trainer/optim/schedule.h"

namespace fairlead::trainer {
namespace {

Alphabet Ab() { return *Alphabet::FromSymbols({"a", "b"}); }

TEST(AlphabetTest, PadsAtTheLeftAndGrowsAtTheEnd) {
  EXPECT_EQ(*Ab().Encode("ba", 4), (std::vector<int64_t>{0, 0, 2, 1}));
  EXPECT_FALSE(Ab().Encode("aaa", 2).ok());
  EXPECT_FALSE(Ab().Encode("c", 2).ok());
  EXPECT_EQ(Ab().GrownBy({"é1", "b"})->symbols(), (std::vector<std::string>{"a", "b", "1", "é"}));
  EXPECT_FALSE(Ab().GrownBy({"\xff"}).ok());
  EXPECT_FALSE(Alphabet::FromSymbols({"ab"}).ok());
}

TEST(ReadoutTest, CtcLikelihoodEqualsTheSumOverAllPaths) {
  LogitsTable table{.positions = 4, .classes = 3, .ctc = true};
  PhiloxStream stream(1, 0, 0, 0);
  for (int i = 0; i < 12; ++i) table.values.push_back(static_cast<float>(stream.Normal()));
  for (const std::string text : {"", "a", "ab", "aa", "bab"}) {
    double sum = 0;
    for (int path = 0; path < 81; ++path) {
      double p = 1;
      std::string read;
      int last = 0;
      for (int t = 0, rest = path; t < 4; ++t, rest /= 3) {
        const std::vector<double> row(table.image(0) + t * 3, table.image(0) + t * 3 + 3);
        const int c = rest % 3;
        p *= std::exp(row[c]) / (std::exp(row[0]) + std::exp(row[1]) + std::exp(row[2]));
        if (c != 0 && c != last) read += c == 1 ? 'a' : 'b';
        last = c;
      }
      if (read == text) sum += p;
    }
    EXPECT_NEAR(TextNegativeLogLikelihood(table, 0, text, Ab(), 1.0), -std::log(sum), 1e-9) << text;
  }
}

TEST(ReadoutTest, ConfidenceIsTheProductOfTheLargestSoftmaxes) {
  const LogitsTable table{.positions = 2, .classes = 3, .values = {0, 2, 0, 0, 0, 1}};
  const OcrPrediction reading = ReadImage(table, 0, Ab(), 2.0);
  EXPECT_EQ(reading.text, "ab");
  const double first = std::exp(1.0) / (std::exp(1.0) + 2);
  const double second = std::exp(0.5) / (std::exp(0.5) + 2);
  EXPECT_NEAR(reading.confidence, first * second, 1e-12);
}

TEST(ReadoutTest, FittedTemperatureMendsOverconfidence) {
  // The model is sure each time and right in 70 of 100 cases.
  LogitsTable table{.positions = 1, .classes = 3};
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) {
    table.values.insert(table.values.end(), {-8, 8, -8});
    texts.push_back(i < 70 ? "a" : "b");
  }
  EXPECT_NEAR(MeasureReadings(table, texts, Ab(), 1.0).calibration_error, 0.3, 1e-3);
  const Calibration fit = FitTemperature(table, texts, Ab());
  EXPECT_GT(fit.temperature, 5);
  EXPECT_LT(MeasureReadings(table, texts, Ab(), fit.temperature).calibration_error, 0.05);
}

TEST(ReadoutTest, EditDistanceCountsCodePoints) {
  const auto distance = [](const char* a, const char* b) {
    return EditDistance(*SplitCodePoints(a), *SplitCodePoints(b));
  };
  EXPECT_EQ(distance("kitten", "sitting"), 3);
  EXPECT_EQ(distance("é", "e"), 1);
  EXPECT_EQ(distance("", "abc"), 3);
}

TEST(ScheduleTest, RisesToThePeakAndFallsToTheEnd) {
  const OneCycle cycle{.peak = 1.0, .total_steps = 1000};
  EXPECT_NEAR(LearningRateAt(cycle, 0), 0.1, 1e-9);
  EXPECT_NEAR(LearningRateAt(cycle, 150), 1.0, 1e-9);
  EXPECT_LT(LearningRateAt(cycle, 999), 0.003);
  for (int64_t s = 1; s <= 150; ++s) {
    EXPECT_GT(LearningRateAt(cycle, s), LearningRateAt(cycle, s - 1));
  }
  EXPECT_LT(EmaDecayAt(0, 1000), 0.2);
  EXPECT_NEAR(EmaDecayAt(900, 1000), 0.98, 1e-9);
}

TEST(PlanTest, RefusesBadOptionsByField) {
  OcrTrainOptions options;
  options.batch = -1;
  EXPECT_FALSE(MakePlan(options, {.train_examples = 10}).ok());
  options.batch = 0;
  options.threads = 0;
  EXPECT_FALSE(MakePlan(options, {.train_examples = 10}).ok());
  options.threads = 1;
  const auto plan = MakePlan(options, {.train_examples = 5});
  EXPECT_EQ(plan->batch, 5);
  EXPECT_EQ(plan->steps_per_epoch, 1);
}

TEST(PlanTest, OnlyAGpuTrainsInBfloat16) {
  PlanFacts facts{.train_examples = 500, .longest_text = 6};
  OcrTrainOptions options;
  EXPECT_FALSE(MakePlan(options, facts)->bf16);
  options.precision = "bf16";
  EXPECT_EQ(FieldOf(MakePlan(options, facts).status()), "precision");
  facts.cuda = true;
  EXPECT_TRUE(MakePlan(options, facts)->bf16);
  options.precision = "auto";
  EXPECT_TRUE(MakePlan(options, facts)->bf16);
  options.precision = "float32";
  EXPECT_FALSE(MakePlan(options, facts)->bf16);
  options.precision = "half";
  EXPECT_EQ(FieldOf(MakePlan(options, facts).status()), "precision");
}

TEST(PlanTest, AFewMistypedLabelsDoNotChangeTheHead) {
  PlanFacts facts{.train_examples = 500, .longest_text = 6};
  facts.commonest_length_share = 0.98;
  EXPECT_EQ(MakePlan({}, facts)->head, "flat");
  facts.commonest_length_share = 0.5;
  EXPECT_EQ(MakePlan({}, facts)->head, "ctc");
}

}  // namespace
}  // namespace fairlead::trainer
