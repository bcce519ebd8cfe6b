// Random violence on real processes under load: kill -9 of the scheduler and of Redis, both at
// once, a Redis that comes back empty, processes that stand still for a while. Every round is a new
// cluster; after it the checker compares the client's log, the contractors' receipts and the
// server.
//   FAIRLEAD_CHAOS_MINUTES=3  rounds begin for so long
//   FAIRLEAD_CHAOS_SEED=1     what happens, and when in the load; round n goes by seed + n
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/e2e/load.h"
#include "tests/sim/dice.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"

namespace fairlead::e2e {
namespace {

int FromEnvironment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  int value = 0;
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

class ChaosTest : public LoadTest {
 protected:
  void TearDown() override {
    for (std::thread& pause : pauses_) pause.join();
    pauses_.clear();
    LoadTest::TearDown();
  }

  // One kind of violence, by number; says what it was.
  std::string Strike(int kind, absl::Duration pause) {
    const std::string victim = kind % 2 == 0 ? cli::kScheduler : cli::kRedis;
    if (kind < 2) {
      EXPECT_OK(cluster().Kill(victim));
      return absl::StrCat("kill ", victim);
    }
    if (kind < 4) {
      Stop(victim, pause);
      return absl::StrCat("stop ", victim, " for ", absl::FormatDuration(pause));
    }
    EXPECT_OK(cluster().Kill(cli::kRedis, /*stay_down=*/true));
    EXPECT_OK(kind == 4 ? cluster().Kill(cli::kScheduler) : cluster().EraseRedis());
    EXPECT_OK(cluster().StartOne(cli::kRedis));
    return kind == 4 ? "kill both" : "empty redis";
  }

 private:
  // SIGSTOP now, SIGCONT after `pause`, while the load goes on.
  void Stop(const std::string& name, absl::Duration pause) {
    const pid_t pid = cluster().supervisor().Pid(name);
    if (pid <= 0) return;  // Down already.
    kill(pid, SIGSTOP);
    pauses_.emplace_back([pid, pause] {
      testing::Eventually(pause, [] { return false; });
      kill(pid, SIGCONT);
    });
  }
  std::vector<std::thread> pauses_;
};

TEST_F(ChaosTest, WhatWasAcknowledgedStaysTrue) {
  const absl::Time until =
      absl::Now() + absl::Minutes(FromEnvironment("FAIRLEAD_CHAOS_MINUTES", 3));
  const int first = FromEnvironment("FAIRLEAD_CHAOS_SEED", 1);
  for (int round = 0; round == 0 || absl::Now() < until; ++round) {
    if (round > 0) {
      TearDown();
      SetUp();
    }
    sim::Dice dice(static_cast<uint64_t>(first + round));
    SCOPED_TRACE(absl::StrCat("FAIRLEAD_CHAOS_SEED=", first + round));
    ASSERT_NO_FATAL_FAILURE(StartCluster(0));
    std::map<int, std::function<void()>> disturb;
    for (int i = 0; i < 4; ++i) {
      const int at = kBatch * (1 + dice.Below(kTasks / kBatch - 1));
      const int kind = dice.Below(6);
      const absl::Duration pause = absl::Milliseconds(200 + dice.Below(4000));
      disturb[at] = [this, at, kind, pause] {
        std::printf("  at task %d: %s\n", at, Strike(kind, pause).c_str());
      };
    }
    std::printf("round %d, seed %d\n", round, first + round);
    std::fflush(stdout);
    RunLoad(disturb);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace fairlead::e2e
