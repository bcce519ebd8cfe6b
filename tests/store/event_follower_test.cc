#include "scheduler/store/event_follower.h"

#include "common/base/status.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace fairlead::store {
namespace {

TEST(EventFollowerTest, ASequenceNumberOfAnEarlierLifeIsNotTakenForDurable) {
  Gate gate;
  EventFollower follower(redis::RedisOptions(), nullptr, &gate, {});
  follower.Add("s0", 5);
  const uint64_t life = follower.Life();
  EXPECT_OK(follower.AwaitDurable("s0", 5, life, absl::ZeroDuration()));
  EXPECT_EQ(ReasonOf(follower.AwaitDurable("s0", 6, life, absl::ZeroDuration())),
            "NOT_DURABLE_YET");
  // Redis came back without event 6, and gave the number to something else, which is durable.
  follower.Reset("s0", 6);
  EXPECT_EQ(ReasonOf(follower.AwaitDurable("s0", 6, life, absl::Seconds(20))), "NOT_DURABLE_YET");
  EXPECT_OK(follower.AwaitDurable("s0", 6, follower.Life(), absl::ZeroDuration()));
}

}  // namespace
}  // namespace fairlead::store
