// Processes killed with real signals under load: what the client was told stays true, as seen from
// the client's own log (G1, G2, G4).
#include <gtest/gtest.h>

#include "tests/e2e/load.h"
#include "tests/support/status_matchers.h"

namespace fairlead::e2e {
namespace {

using KillTest = LoadTest;

TEST_F(KillTest, NothingAcknowledgedIsLostWhenTheSchedulerIsKilled) {
  StartCluster(0);
  auto kill = [&] { ASSERT_OK(cluster().Kill(cli::kScheduler)); };
  RunLoad({{100, kill}, {240, kill}});
}

TEST_F(KillTest, NothingAcknowledgedIsLostWhenRedisIsKilled) {
  StartCluster(0);
  auto kill = [&] { ASSERT_OK(cluster().Kill(cli::kRedis)); };
  RunLoad({{100, kill}, {240, kill}});
}

TEST_F(KillTest, TheRecordLogBringsAnEmptyRedisBack) {
  StartCluster(0);
  auto erase = [&] {
    ASSERT_OK(cluster().Kill(cli::kRedis, /*stay_down=*/true));
    ASSERT_OK(cluster().EraseRedis());
    ASSERT_OK(cluster().StartOne(cli::kRedis));
  };
  RunLoad({{100, erase}, {300, erase}});
}

TEST_F(KillTest, AnEmptyRedisAndAKilledSchedulerTogetherLoseNothing) {
  StartCluster(0);
  RunLoad({{200, [&] {
              ASSERT_OK(cluster().Kill(cli::kRedis, /*stay_down=*/true));
              ASSERT_OK(cluster().Kill(cli::kScheduler, /*stay_down=*/true));
              ASSERT_OK(cluster().EraseRedis());
              ASSERT_OK(cluster().StartOne(cli::kRedis));
              ASSERT_OK(cluster().StartOne(cli::kScheduler));
            }}});
}

}  // namespace
}  // namespace fairlead::e2e
