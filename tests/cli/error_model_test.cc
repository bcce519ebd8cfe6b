#include "scheduler/cli/error_model.h"

#include <cmath>
#include <random>

#include "gtest/gtest.h"
#include "scheduler/cli/simulator.h"

namespace fairlead::cli {
namespace {

constexpr int kDraws = 20000;

TEST(ErrorModelTest, ACorruptedTextIsNeverTheTruthNorEmpty) {
  std::mt19937_64 gen(1);
  for (const char* truth : {"1", "11", "10.00", "aa", "TOTAL", "é", "日本語", "0"}) {
    for (int i = 0; i < 500; ++i) {
      const std::string text = CorruptText(truth, gen);
      EXPECT_NE(text, truth);
      EXPECT_FALSE(text.empty());
    }
  }
  EXPECT_FALSE(CorruptText("", gen).empty());
}

TEST(ErrorModelTest, MostErrorsKeepTheLength) {
  std::mt19937_64 gen(2);
  int same = 0;
  int shorter = 0;
  int longer = 0;
  for (int i = 0; i < kDraws; ++i) {
    const size_t length = CorruptText("48275", gen).size();
    same += length == 5 ? 1 : 0;
    shorter += length < 5 ? 1 : 0;
    longer += length > 5 ? 1 : 0;
  }
  // Substitution and swap keep it (0.60 + 0.15), a drop shortens, an insertion lengthens.
  EXPECT_NEAR(static_cast<double>(same) / kDraws, 0.73, 0.05);
  EXPECT_NEAR(static_cast<double>(shorter) / kDraws, 0.16, 0.04);
  EXPECT_NEAR(static_cast<double>(longer) / kDraws, 0.11, 0.04);
}

TEST(ErrorModelTest, TheSameGeneratorGivesTheSameError) {
  std::mt19937_64 one(3);
  std::mt19937_64 two(3);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(CorruptText("12345", one), CorruptText("12345", two));
}

TEST(ErrorModelTest, EveryKindOfAnswerIsChangedWithinItsSchema) {
  std::mt19937_64 gen(4);
  v1::AnswerSchema schema;
  schema.add_classes("cat");
  schema.add_classes("dog");
  schema.set_min_rating(0);
  schema.set_max_rating(10);
  v1::Answer answer;
  answer.set_class_name("cat");
  EXPECT_EQ(CorruptAnswer(answer, schema, gen).class_name(), "dog");
  answer.set_preferred(v1::Answer::SIDE_A);
  EXPECT_EQ(CorruptAnswer(answer, schema, gen).preferred(), v1::Answer::SIDE_B);
  answer.set_rating(1);
  for (int i = 0; i < 50; ++i) {
    const double rating = CorruptAnswer(answer, schema, gen).rating();
    EXPECT_NE(rating, 1);
    EXPECT_GE(rating, 0);
    EXPECT_LE(rating, 10);
  }
  answer.mutable_order()->add_best_first(1);
  answer.mutable_order()->add_best_first(0);
  const v1::Answer order = CorruptAnswer(answer, schema, gen);
  EXPECT_EQ(order.order().best_first(0), 0);
  EXPECT_EQ(order.order().best_first(1), 1);
}

TEST(ErrorModelTest, AccuraciesHaveTheMeanAndSpreadAskedFor) {
  std::mt19937_64 gen(5);
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double accuracy = DrawAccuracy(0.88, 0.08, gen);
    ASSERT_GE(accuracy, 0);
    ASSERT_LE(accuracy, 1);
    sum += accuracy;
    squares += accuracy * accuracy;
  }
  const double mean = sum / kDraws;
  EXPECT_NEAR(mean, 0.88, 0.005);
  EXPECT_NEAR(std::sqrt(squares / kDraws - mean * mean), 0.08, 0.005);
  EXPECT_EQ(DrawAccuracy(0.7, 0, gen), 0.7);
  const double wide = DrawAccuracy(0.9, 10, gen);
  EXPECT_GE(wide, 0);
  EXPECT_LE(wide, 1);
}

TEST(ErrorModelTest, PaceHasTheMedianAskedFor) {
  std::mt19937_64 gen(6);
  int below = 0;
  for (int i = 0; i < kDraws; ++i) below += DrawLogNormal(0.3, 0.35, gen) < 0.3 ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(below) / kDraws, 0.5, 0.02);
}

TEST(ErrorModelTest, PersonasFollowFromTheOptionsAlone) {
  SimulatorOptions options;
  options.contractors = 30;
  const auto once = DrawPersonas(options);
  const auto again = DrawPersonas(options);
  ASSERT_EQ(once.size(), 30u);
  EXPECT_EQ(once[7].name, "contractors/sim-008");
  double lowest = 1;
  double highest = 0;
  for (size_t i = 0; i < once.size(); ++i) {
    EXPECT_EQ(once[i].accuracy, again[i].accuracy);
    EXPECT_EQ(once[i].pace, again[i].pace);
    lowest = std::min(lowest, once[i].accuracy);
    highest = std::max(highest, once[i].accuracy);
  }
  EXPECT_GT(highest - lowest, 0.1) << "contractors are of unequal skill";
  options.seed = 2;
  EXPECT_NE(DrawPersonas(options)[7].accuracy, once[7].accuracy);
}

}  // namespace
}  // namespace fairlead::cli
