#include "scheduler/store/event_follower.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/support/status_matchers.h"

namespace fairlead::store {
namespace {

using ::testing::ElementsAre;

TEST(EventFollowerTest, ASequenceNumberOfAnEarlierLifeIsNotTakenForDurable) {
  Gate gate;
  EventFollower follower(redis::RedisOptions(), nullptr, &gate, {});
  follower.Add("s0", 5);
  const uint64_t life = follower.Life();
  EXPECT_OK(follower.AwaitDurable({"s0", 5, life}, absl::ZeroDuration()));
  EXPECT_EQ(ReasonOf(follower.AwaitDurable({"s0", 6, life}, absl::ZeroDuration())),
            "NOT_DURABLE_YET");
  // Redis came back without event 6, and gave the number to something else, which is durable.
  follower.Reset("s0", 6);
  EXPECT_EQ(ReasonOf(follower.AwaitDurable({"s0", 6, life}, absl::Seconds(20))), "NOT_DURABLE_YET");
  EXPECT_OK(follower.AwaitDurable({"s0", 6, follower.Life()}, absl::ZeroDuration()));
}

TEST(EventFollowerTest, WhoWaitsWithoutAThreadIsToldOnce) {
  Gate gate;
  EventFollower follower(redis::RedisOptions(), nullptr, &gate, {});
  follower.Add("s0", 5);
  const uint64_t life = follower.Life();
  std::vector<std::string> told;
  const auto note = [&](const std::string& who) {
    return [&told, who](const absl::Status& status) {
      told.push_back(absl::StrCat(who, " ", status.ok() ? "OK" : ReasonOf(status)));
    };
  };
  follower.WhenDurable({"s0", 0, life}, absl::Seconds(20), note("nothing"));
  follower.WhenDurable({"s0", 5, life}, absl::Seconds(20), note("durable"));
  follower.WhenDurable({"s0", 6, life}, absl::ZeroDuration(), note("late"));
  follower.WhenDurable({"s0", 6, life}, absl::Seconds(20), note("lost"));
  EXPECT_THAT(told, ElementsAre("nothing OK", "durable OK", "late NOT_DURABLE_YET"));
  follower.Reset("s0", 6);
  follower.WhenDurable({"s0", 7, follower.Life()}, absl::Seconds(20), note("stopped"));
  follower.Stop();
  follower.Stop();
  EXPECT_THAT(told, ElementsAre("nothing OK", "durable OK", "late NOT_DURABLE_YET",
                                "lost NOT_DURABLE_YET", "stopped "));
}

TEST(EventFollowerTest, AHeldGateEndsTheWaitWithItsReason) {
  Gate gate;
  EventFollower follower(redis::RedisOptions(), nullptr, &gate, {});
  follower.Add("s0", 5);
  gate.Hold("s0", Error(absl::StatusCode::kUnavailable, "RECORD_LOG_FULL", "no room"));
  EXPECT_EQ(ReasonOf(follower.AwaitDurable({"s0", 6, follower.Life()}, absl::Seconds(20))),
            "RECORD_LOG_FULL");
}

}  // namespace
}  // namespace fairlead::store
