// Random violence on real processes under load in both lanes (chaos_cluster.h). A round is a new
// cluster that every kind of strike hits once, in an order and at moments drawn from the seed;
// after each the load must go on, and at the end the checkers compare the logs of all sides.
//   FAIRLEAD_CHAOS_MINUTES=0  rounds begin for so long; 0 is one round, the one of CI
//   FAIRLEAD_CHAOS_SEED=1     round n goes by seed + n; every other one empties Redis as well
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/chaos/chaos_cluster.h"
#include "tests/sim/dice.h"

namespace fairlead::chaos {
namespace {

int FromEnvironment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  int value = 0;
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

class ChaosTest : public ChaosCluster {
 protected:
  void RunRound(int seed, bool empty_redis) {
    SCOPED_TRACE(absl::StrCat("FAIRLEAD_CHAOS_SEED=", seed));
    std::printf("round of seed %d\n", seed);
    ASSERT_NO_FATAL_FAILURE(Begin(static_cast<uint64_t>(seed)));
    sim::Dice dice(static_cast<uint64_t>(seed));
    std::vector<int> order(empty_redis ? kStrikes : kStrikes - 1);
    std::iota(order.begin(), order.end(), 0);
    for (int i = static_cast<int>(order.size()) - 1; i > 0; --i) {
      std::swap(order[i], order[dice.Below(i + 1)]);
    }
    const absl::Time start = absl::Now();
    for (const int kind : order) {
      AwaitProgress(20 + dice.Below(200), 20 + dice.Below(200), 1 + dice.Below(3));
      const auto strike = static_cast<Strike>(kind);
      std::printf("  %5.1f s: %s\n", absl::ToDoubleSeconds(absl::Now() - start), NameOf(strike));
      std::fflush(stdout);
      Do(strike, dice.Below(1 << 20));
      if (HasFailure()) return;
    }
    AwaitProgress(100, 100, 2);
    EndAndCheck();
  }
};

TEST_F(ChaosTest, WhatWasAcknowledgedStaysTrue) {
  const absl::Time until =
      absl::Now() + absl::Minutes(FromEnvironment("FAIRLEAD_CHAOS_MINUTES", 0));
  const int first = FromEnvironment("FAIRLEAD_CHAOS_SEED", 1);
  for (int round = 0; round == 0 || absl::Now() < until; ++round) {
    if (round > 0) {
      TearDown();
      SetUp();
    }
    RunRound(first + round, /*empty_redis=*/round % 2 == 1);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace fairlead::chaos
