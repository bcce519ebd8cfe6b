#include "scheduler/learn/gate.h"

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

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

TEST(GateTest, AFileThatLoadsIsJudged) { EXPECT_TRUE(DecideLoad({{"load_test", 1}}).promote); }

TEST(GateTest, AFileThatDoesNotLoadIsRefusedByName) {
  using Metrics = std::map<std::string, double>;
  for (const auto& [metrics, reason] : std::vector<std::pair<Metrics, std::string>>{
           {{}, "did not test"},
           {{{"load_test", std::nan("")}}, "0 of 0 items differently"},
           {{{"load_test", 0}, {"load_test.exit_code", 2}}, "could not use the file, exit code 2"},
           {{{"load_test", 0}, {"load_test.signal", 11}}, "ended a new process by signal 11"},
           {{{"load_test", 0}, {"load_test.out_of_memory", 1}}, "more memory than it may"},
           {{{"load_test", 0}, {"load_test.timed_out", 1}, {"load_test.seconds", 120.02}},
            "not done with the file after 120 s"},
           {{{"load_test", 0}, {"load_test.items", 64}, {"load_test.differing", 3}},
            "reads 3 of 64 items differently"}}) {
    const GateDecision decision = DecideLoad(metrics);
    EXPECT_FALSE(decision.promote) << reason;
    EXPECT_THAT(decision.reason, HasSubstr(reason));
  }
}

}  // namespace
}  // namespace fairlead::learn
