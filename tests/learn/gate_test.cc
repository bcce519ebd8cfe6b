#include "scheduler/learn/gate.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fairlead::learn {
namespace {

using testing::HasSubstr;

GateInput Input(double challenger, double champion) {
  GateInput input;
  input.metric = "test.exact_match";
  input.has_champion = true;
  input.challenger = {{"test.exact_match", challenger}, {"test.count", 200}};
  input.champion = {{"test.exact_match", champion}, {"test.count", 200}};
  return input;
}

TEST(GateTest, FirstVersionNeedsOnlyToPassTheFloor) {
  GateInput input = Input(0.3, 0);
  input.has_champion = false;
  input.floor = 0.25;
  EXPECT_TRUE(DecidePromotion(input).promote);
  input.floor = 0.3;
  EXPECT_FALSE(DecidePromotion(input).promote);
}

TEST(GateTest, BetterIsPromotedAndWorseOrEqualIsNot) {
  EXPECT_TRUE(DecidePromotion(Input(0.71, 0.70)).promote);
  EXPECT_FALSE(DecidePromotion(Input(0.70, 0.70)).promote);
  EXPECT_FALSE(DecidePromotion(Input(0.69, 0.70)).promote);
  EXPECT_THAT(DecidePromotion(Input(0.71, 0.70)).reason, HasSubstr("0.7100 against 0.7000"));
}

TEST(GateTest, WhatIsNotANumberIsRefused) {
  EXPECT_FALSE(DecidePromotion(Input(std::nan(""), 0.7)).promote);
  EXPECT_FALSE(DecidePromotion(Input(0.7, std::nan(""))).promote);
  EXPECT_FALSE(DecidePromotion(Input(INFINITY, 0.7)).promote);
  GateInput missing = Input(0.9, 0.7);
  missing.challenger.erase("test.exact_match");
  EXPECT_THAT(DecidePromotion(missing).reason, HasSubstr("missing or not finite"));
}

TEST(GateTest, MinZAsksForMoreThanNoise) {
  GateInput input = Input(0.74, 0.70);
  input.min_z = 1.645;
  EXPECT_FALSE(DecidePromotion(input).promote);
  input.challenger["test.exact_match"] = 0.85;
  EXPECT_TRUE(DecidePromotion(input).promote);
  input.challenger.erase("test.count");
  EXPECT_FALSE(DecidePromotion(input).promote) << "noise cannot be told without counts";
}

TEST(GateTest, PairedItemsSeeASmallSteadyGain) {
  GateInput input = Input(0.74, 0.70);
  input.min_z = 1.645;
  for (int i = 0; i < 200; ++i) {
    input.champion_right.push_back(i < 140);
    input.challenger_right.push_back(i < 148);
  }
  const GateDecision decision = DecidePromotion(input);
  EXPECT_TRUE(decision.promote) << decision.reason;
  EXPECT_THAT(decision.reason, HasSubstr("8 gained, 0 lost of 200"));
}

TEST(GateTest, GuardsHoldWithinNoise) {
  GateInput input = Input(0.75, 0.70);
  input.guards = {"frozen.exact_match"};
  input.champion["frozen.exact_match"] = 0.80;
  input.challenger["frozen.exact_match"] = 0.78;
  EXPECT_TRUE(DecidePromotion(input).promote);
  input.challenger["frozen.exact_match"] = 0.60;
  EXPECT_FALSE(DecidePromotion(input).promote);
  input.challenger.erase("frozen.exact_match");
  EXPECT_FALSE(DecidePromotion(input).promote);
}

}  // namespace
}  // namespace fairlead::learn
