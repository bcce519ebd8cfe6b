#include "scheduler/learn/gate.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fairlead::learn {
namespace {

using testing::HasSubstr;

TEST(GateTest, FirstVersionNeedsOnlyToPassTheFloor) {
  EXPECT_TRUE(DecideFirst({{"test.exact_match", 0.3}}, "test.exact_match", 0.25).promote);
  const GateDecision level = DecideFirst({{"test.exact_match", 0.3}}, "test.exact_match", 0.3);
  EXPECT_FALSE(level.promote);
  EXPECT_THAT(level.reason, HasSubstr("test.exact_match 0.3000, above 0.30"));
}

TEST(GateTest, WhatIsNotANumberIsRefused) {
  EXPECT_FALSE(DecideFirst({{"test.exact_match", std::nan("")}}, "test.exact_match", 0).promote);
  EXPECT_FALSE(DecideFirst({{"test.exact_match", INFINITY}}, "test.exact_match", 0).promote);
  EXPECT_THAT(DecideFirst({}, "test.exact_match", 0).reason, HasSubstr("missing or not finite"));
}

}  // namespace
}  // namespace fairlead::learn
