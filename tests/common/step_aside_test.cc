#include "common/base/step_aside.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

namespace fairlead {
namespace {

struct Standing {
  int niceness = 0, policy = 0;
};

Standing OfThisThread() { return {getpriority(PRIO_PROCESS, 0), sched_getscheduler(0)}; }

// What a thread stands at once it has stepped aside, and one that it starts then.
void Aside(int niceness, Standing& own, Standing& started) {
  std::thread([&] {
    EXPECT_TRUE(StepAside(niceness).ok());
    own = OfThisThread();
    std::thread([&] { started = OfThisThread(); }).join();
  }).join();
}

TEST(StepAsideTest, HoldsForTheThreadsThatAreStartedThen) {
  const Standing before = OfThisThread();
  Standing own, started;
  Aside(3, own, started);
  EXPECT_EQ(own.niceness, std::min(before.niceness + 3, 19));
  EXPECT_EQ(own.policy, SCHED_BATCH);
  EXPECT_EQ(started.niceness, own.niceness);
  EXPECT_EQ(started.policy, SCHED_BATCH);
  EXPECT_EQ(OfThisThread().niceness, before.niceness);
}

TEST(StepAsideTest, GoesNoFurtherThanTheLastPlaceAndByNothingNowhere) {
  const Standing before = OfThisThread();
  Standing own, started;
  Aside(40, own, started);
  EXPECT_EQ(own.niceness, 19);
  Aside(0, own, started);
  EXPECT_EQ(own.niceness, before.niceness);
  EXPECT_EQ(own.policy, before.policy);
}

}  // namespace
}  // namespace fairlead
