#include "scheduler/learn/adwin.h"

#include "gtest/gtest.h"
#include "tests/sim/dice.h"

namespace fairlead::learn {
namespace {

// Errors of a model that is wrong in `percent` of the cases; returns at which one it was cut, or
// −1.
int FirstAlarm(Adwin& window, sim::Dice& dice, int percent, int values) {
  for (int i = 0; i < values; ++i) {
    if (window.Add(dice.Percent(percent) ? 1 : 0)) return i;
  }
  return -1;
}

TEST(AdwinTest, ASteadyErrorRaisesNoAlarm) {
  int alarms = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    sim::Dice dice(seed);
    Adwin window;
    alarms += FirstAlarm(window, dice, 10, 2'000) >= 0;
    if (alarms == 0) {
      EXPECT_GT(window.count(), 1'000);
    }
  }
  EXPECT_LE(alarms, 2);
}

TEST(AdwinTest, ARisenErrorIsSeenSoonAndTheOldPartForgotten) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    sim::Dice dice(seed);
    Adwin window;
    FirstAlarm(window, dice, 5, 500);
    const int seen = FirstAlarm(window, dice, 50, 200);
    ASSERT_GE(seen, 0) << "seed " << seed;
    EXPECT_LE(seen, 60) << "seed " << seed;
    for (int i = 0; i < 300; ++i) window.Add(dice.Percent(50) ? 1 : 0);
    EXPECT_NEAR(window.mean(), 0.5, 0.12) << "seed " << seed;
  }
}

TEST(AdwinTest, AFallenErrorIsForgottenInSilence) {
  int alarms = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    sim::Dice dice(seed);
    Adwin window;
    alarms += FirstAlarm(window, dice, 50, 300) >= 0;
    alarms += FirstAlarm(window, dice, 5, 400) >= 0;
    EXPECT_LT(window.mean(), 0.15) << "seed " << seed;
  }
  EXPECT_LE(alarms, 2);
}

TEST(AdwinTest, MeanIsOfWhatTheWindowHolds) {
  Adwin window;
  for (int i = 0; i < 1'000; ++i) window.Add(i % 4 == 0 ? 1 : 0);
  EXPECT_EQ(window.count(), 1'000);
  EXPECT_NEAR(window.mean(), 0.25, 1e-12);
}

}  // namespace
}  // namespace fairlead::learn
