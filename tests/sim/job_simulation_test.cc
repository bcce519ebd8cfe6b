// Many seeded histories of the machine lane on the twin, some side by side on a real Redis.
//   FAIRLEAD_SIM_SEEDS=10000  so many seeds on the twin
//   FAIRLEAD_SIM_PAIRS=200    so many on twin and Redis
//   FAIRLEAD_SIM_SEED=17      only this one, on twin and Redis
#include "tests/sim/job_simulation.h"

#include <gtest/gtest.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/sim/environment.h"
#include "tests/support/status_matchers.h"

namespace fairlead::sim {
namespace {

constexpr int kSteps = 200;

uint64_t OnlySeed() { return FromEnvironment("FAIRLEAD_SIM_SEED", 0); }
uint64_t First() { return OnlySeed() > 0 ? OnlySeed() : 1; }
uint64_t Last(uint64_t seeds) { return OnlySeed() > 0 ? OnlySeed() : seeds; }

TEST(JobSimulationTest, TheGuaranteesHoldAfterEveryStep) {
  const uint64_t last = Last(FromEnvironment("FAIRLEAD_SIM_SEEDS", 1000));
  for (uint64_t seed = First(); seed <= last; ++seed) {
    queue::MemoryLane twin;
    ASSERT_OK(RunJobSeed(seed, kSteps, &twin));
  }
}

// Both get the same seed; a step that ends otherwise, or leaves another state, is a failure of one.
void RunSideBySide(uint64_t seed, queue::RedisLane& redis) {
  queue::MemoryLane twin;
  ASSERT_OK(redis.Clear());
  JobSimulation on_twin(seed, &twin, /*fingerprints=*/true);
  JobSimulation on_redis(seed, &redis, /*fingerprints=*/true);
  for (int i = 0; i < kSteps; ++i) {
    const absl::Status one = on_twin.Step(), other = on_redis.Step();
    const auto history = [&] {
      return absl::StrCat("FAIRLEAD_SIM_SEED=", seed, ", step ", i, "\n",
                          absl::StrJoin(on_twin.trace(), "\n"));
    };
    ASSERT_TRUE(one.ok()) << "twin " << one << "\n" << history();
    ASSERT_TRUE(other.ok()) << "redis " << other << "\n" << history();
    ASSERT_EQ(on_twin.trace().size(), on_redis.trace().size()) << history();
    ASSERT_EQ(on_twin.fingerprint(), on_redis.fingerprint()) << history();
    // Told in full only on failure: comparing all of it every step is quadratic.
    if (on_twin.trace().empty()) continue;
    ASSERT_EQ(on_twin.trace().back(), on_redis.trace().back()) << history();
  }
}

TEST(JobSimulationTest, TwinAndRedisAgreeStepByStep) {
  // No file: what is compared is the functions; fsync is other tests' matter.
  testing::RedisServerOptions options;
  options.append_only = false;
  const std::unique_ptr<queue::RedisLane> redis = queue::RedisLane::Create(options);
  ASSERT_NE(redis, nullptr);
  const uint64_t last = Last(FromEnvironment("FAIRLEAD_SIM_PAIRS", 20));
  for (uint64_t seed = First(); seed <= last; ++seed) {
    ASSERT_NO_FATAL_FAILURE(RunSideBySide(seed, *redis));
  }
}

}  // namespace
}  // namespace fairlead::sim
