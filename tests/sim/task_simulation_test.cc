// Many seeded histories on the twin, some side by side on a real Redis.
//   FAIRLEAD_SIM_SEEDS=10000  so many seeds on the twin
//   FAIRLEAD_SIM_SEED=17      only this one, on twin and Redis
#include "tests/sim/task_simulation.h"

#include <gtest/gtest.h>

#include "absl/strings/str_join.h"
#include "tests/sim/environment.h"
#include "tests/store/shard_check.h"
#include "tests/store/task_backend.h"
#include "tests/support/status_matchers.h"

namespace fairlead::sim {
namespace {

constexpr int kSteps = 200;

uint64_t OnlySeed() { return FromEnvironment("FAIRLEAD_SIM_SEED", 0); }

TEST(TaskSimulationTest, TheGuaranteesHoldAfterEveryStep) {
  const uint64_t seeds = FromEnvironment("FAIRLEAD_SIM_SEEDS", 400);
  const uint64_t first = OnlySeed() > 0 ? OnlySeed() : 1;
  const uint64_t last = OnlySeed() > 0 ? OnlySeed() : seeds;
  for (uint64_t seed = first; seed <= last; ++seed) {
    store::MemoryBackend twin;
    ASSERT_OK(RunSeed(seed, kSteps, &twin.store(), &twin.clock()));
  }
}

// Both get the same seed; a step that ends otherwise, or leaves another state, is a failure of one.
void RunSideBySide(uint64_t seed, store::RedisBackend& redis) {
  store::MemoryBackend twin;
  ASSERT_OK(redis.Clear());
  TaskSimulation on_twin(seed, &twin.store(), &twin.clock(), /*fingerprints=*/true);
  TaskSimulation on_redis(seed, &redis.store(), &redis.clock(), /*fingerprints=*/true);
  for (int i = 0; i < kSteps; ++i) {
    ASSERT_OK(on_twin.Step()) << "twin, seed " << seed;
    ASSERT_OK(on_redis.Step()) << "redis, seed " << seed;
    ASSERT_EQ(on_twin.trace().size(), on_redis.trace().size());
    // Told in full only on failure: comparing all of it every step is quadratic.
    ASSERT_EQ(on_twin.trace().back(), on_redis.trace().back())
        << "seed " << seed << ", step " << i << "\n"
        << absl::StrJoin(on_twin.trace(), "\n");
  }
  ASSERT_OK(store::CheckShard(redis.pool(), "s0")) << "seed " << seed;
}

TEST(TaskSimulationTest, TwinAndRedisAgreeStepByStep) {
  // No file: what is compared is the functions; fsync is other tests' matter.
  testing::RedisServerOptions options;
  options.append_only = false;
  auto redis = store::RedisBackend::Create(options);
  ASSERT_NE(redis, nullptr);
  const uint64_t first = OnlySeed() > 0 ? OnlySeed() : 1;
  const uint64_t last = OnlySeed() > 0 ? OnlySeed() : FromEnvironment("FAIRLEAD_SIM_PAIRS", 60);
  for (uint64_t seed = first; seed <= last; ++seed) {
    ASSERT_NO_FATAL_FAILURE(RunSideBySide(seed, *redis));
  }
}

}  // namespace
}  // namespace fairlead::sim
