#include "scheduler/quality/forecast.h"

#include <limits>

#include "gtest/gtest.h"

namespace fairlead::quality {
namespace {

v1::ProjectSettings Settings(int64_t budget_micros) {
  v1::ProjectSettings settings;
  settings.mutable_redundancy()->set_min_answers(2);
  settings.mutable_redundancy()->set_max_answers(5);
  settings.set_budget_micros(budget_micros);
  return settings;
}

TEST(ForecastTest, BeforeAnythingIsCompletedItIsHalfwayBetweenLeastAndMost) {
  Progress progress;
  progress.waiting = 100;
  progress.waiting_answers = 20;
  const auto forecast = ForecastOf(Settings(0), 50'000, progress);
  EXPECT_EQ(forecast.answers_per_task(), 3.5);
  EXPECT_EQ(forecast.answers_to_go(), 330);
  EXPECT_EQ(forecast.to_go_micros(), 16'500'000);
  EXPECT_EQ(forecast.paid_micros(), 0);
  EXPECT_FALSE(forecast.budget_spent());
}

TEST(ForecastTest, GoesByWhatTheCompletedTasksTook) {
  Progress progress{.completed = 40,
                    .completed_answers = 90,
                    .waiting = 10,
                    .waiting_answers = 4,
                    .held = 3,
                    .paid_micros = 94 * 50'000};
  const auto forecast = ForecastOf(Settings(0), 60'000, progress);
  EXPECT_EQ(forecast.answers_per_task(), 2.25);
  EXPECT_EQ(forecast.answers_to_go(), 18.5);
  EXPECT_EQ(forecast.to_go_micros(), 1'110'000) << "at the rate in force";
  EXPECT_EQ(forecast.paid_micros(), 4'700'000) << "at the rates there were";
  progress.waiting_answers = 60;
  EXPECT_EQ(ForecastOf(Settings(0), 60'000, progress).answers_to_go(), 3) << "what is held";
  EXPECT_EQ(ForecastOf(Settings(0), 0, progress).to_go_micros(), 0);
}

TEST(ForecastTest, TheBudgetPaysWhatIsHeldAndAsManyMoreAsItCan) {
  Progress progress;
  progress.paid_micros = 100'000;
  progress.held = 2;
  EXPECT_EQ(AffordableOffers(300'000, 50'000, progress), 2);
  EXPECT_EQ(AffordableOffers(299'999, 50'000, progress), 1);
  EXPECT_EQ(AffordableOffers(200'000, 50'000, progress), 0);
  EXPECT_EQ(AffordableOffers(50'000, 50'000, progress), 0) << "lowered below what is paid";
  EXPECT_TRUE(ForecastOf(Settings(249'999), 50'000, progress).budget_spent());
  EXPECT_FALSE(ForecastOf(Settings(250'000), 50'000, progress).budget_spent());
  constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(AffordableOffers(0, 50'000, progress), kAll) << "no budget";
  EXPECT_EQ(AffordableOffers(1, 0, progress), kAll) << "nothing to pay";
}

}  // namespace
}  // namespace fairlead::quality
