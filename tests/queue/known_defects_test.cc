// What went wrong in other queues on Redis (Asynq: acks by id, unique locks, ghosts, half-applied
// archives; BullMQ: progress that anybody may write), each as a test that this lane passes.
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/redis/keys.h"
#include "tests/queue/lane_fixture.h"

namespace fairlead::queue {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class KnownDefectsTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "Memory") {
      lane_ = std::make_unique<MemoryLane>();
    } else {
      lane_ = GetParam() == "Redis" ? RedisLane::Create() : RedisLane::CreateInCluster();
    }
    ASSERT_NE(lane_, nullptr);
  }
  JobQueue& queue() { return lane_->queue(); }
  TickResponse Tick(const TickRequest& request) {
    absl::StatusOr<TickResponse> response = queue().Tick(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? std::move(response).value() : TickResponse();
  }
  Lease Take(const std::string& session) {
    TickResponse response = Tick(MakeTick(session, 1));
    EXPECT_THAT(response.leases, SizeIs(1));
    return response.leases.empty() ? Lease() : response.leases[0];
  }
  // "old" leased the job and went silent, "young" has it now.
  void HandOver(Lease* old, Lease* young) {
    ASSERT_TRUE(*queue().Enqueue(MakeJob("j"), 0));
    *old = Take("old");
    lane_->clock().Advance(absl::Seconds(11));
    ASSERT_EQ(*queue().Reap(10), 1);
    *young = Take("young");
    ASSERT_EQ(young->job.job(), "j");
  }
  static TickRequest AckOf(const std::string& session, const Lease& lease) {
    TickRequest request = MakeTick(session);
    request.acks.resize(1);
    request.acks[0].token = lease.token;
    return request;
  }

  std::unique_ptr<Lane> lane_;
};

// Asynq: the late Done of a worker that lost its lease deletes the task of the next one.
TEST_P(KnownDefectsTest, ZombieAckLeavesTheNewOwnersJobAlone) {
  Lease old, young;
  HandOver(&old, &young);
  // Under its own session it is fenced; even under one that lives, the token is worth nothing.
  EXPECT_TRUE(Tick(AckOf("old", old)).fenced);
  EXPECT_THAT(Tick(AckOf("reborn", old)).lost, ElementsAre(old.token));
  EXPECT_THAT(lane_->Finished(), IsEmpty());
  EXPECT_THAT(*queue().Mine("young"), SizeIs(1));
  EXPECT_THAT(Tick(AckOf("young", young)).lost, IsEmpty());
  EXPECT_THAT(lane_->Finished(), SizeIs(1));
}

// Asynq: an enqueue that is refused leaves its unique lock, which refuses the next for its whole
// TTL.
TEST_P(KnownDefectsTest, RefusedEnqueueLeavesNoLockBehind) {
  std::vector<NewJob> two(2);
  two[0].record = MakeJob("a");
  two[1].record = MakeJob("b");
  FlowLimits limits;
  limits.waiting = 1;
  ASSERT_TRUE(queue().SetLimits("acme", limits).ok());
  EXPECT_EQ(ReasonOf(queue().EnqueueBatch(two).status()), "QUEUE_FULL");
  EXPECT_TRUE(*queue().Enqueue(MakeJob("a"), 0));
  EXPECT_FALSE(*queue().Enqueue(MakeJob("a"), 0));
  Tick(AckOf("s", Take("s")));
  EXPECT_FALSE(*queue().Enqueue(MakeJob("a"), 0));
  Retention retention;
  retention.age = absl::Seconds(1);
  ASSERT_TRUE(queue().SetRetention(retention).ok());
  lane_->clock().Advance(absl::Seconds(2));
  ASSERT_TRUE(queue().Reap(100).ok());
  EXPECT_TRUE(*queue().Enqueue(MakeJob("a"), 0));
}

// Asynq: with thousands of old dead tasks, killing one more fails half way through, for Lua's stack
// bounds what one call can take.
TEST_P(KnownDefectsTest, ThousandsOfOldDeadJobsStopNothing) {
  constexpr int kBatches = 9;
  Retention retention;
  retention.count = 100'000;
  retention.age = absl::Hours(1);
  ASSERT_TRUE(queue().SetRetention(retention).ok());
  for (int i = 0; i < kBatches; ++i) {
    std::vector<NewJob> jobs(kMaxEnqueue);
    for (int j = 0; j < kMaxEnqueue; ++j) jobs[j].record = MakeJob(absl::StrCat(i, "-", j));
    ASSERT_TRUE(queue().EnqueueBatch(jobs).ok());
    for (const NewJob& job : jobs) ASSERT_TRUE(queue().Cancel(job.record.job()).ok());
  }
  lane_->clock().Advance(absl::Hours(2));
  ASSERT_TRUE(*queue().Enqueue(MakeJob("last"), 0));
  EXPECT_TRUE(queue().Cancel("last").ok());
  for (int i = 0; i <= kBatches * kMaxEnqueue / 100; ++i) ASSERT_TRUE(queue().Reap(100).ok());
  const auto dead = queue().Dead(0, 10);
  ASSERT_TRUE(dead.ok()) << dead.status();
  ASSERT_THAT(*dead, SizeIs(1));
  EXPECT_EQ((*dead)[0].job, "last");
}

// BullMQ: updateProgress asks only whether the job exists.
TEST_P(KnownDefectsTest, ZombieCannotOverwriteTheNewOwnersProgress) {
  Lease old, young;
  HandOver(&old, &young);
  TickRequest note = MakeTick("young");
  note.progress = {{young.token, "epoch 2"}};
  EXPECT_THAT(Tick(note).lost, IsEmpty());
  for (const char* session : {"old", "reborn"}) {
    TickRequest late = MakeTick(session);
    late.progress = {{old.token, "epoch 1"}};
    EXPECT_THAT(Tick(late).lost, ElementsAre(old.token));
  }
  EXPECT_EQ(queue().Inspect("j")->progress, "epoch 2");
}

INSTANTIATE_TEST_SUITE_P(Lanes, KnownDefectsTest, ::testing::Values("Memory", "Redis", "Cluster"),
                         [](const auto& suite) { return suite.param; });

// Asynq: an id whose hash is gone becomes active with a lease that nobody holds, for ever. Here
// what waits is the job itself.
TEST(KnownDefectsRedisTest, JobIsLeasedWithoutItsIndex) {
  std::unique_ptr<RedisLane> lane = RedisLane::Create();
  ASSERT_NE(lane, nullptr);
  for (const char* id : {"ghost", "real"}) ASSERT_TRUE(*lane->queue().Enqueue(MakeJob(id), 0));
  ASSERT_TRUE(lane->pool().Call({"HDEL", redis::JobsKey("m0"), "ghost"}).ok());
  const absl::StatusOr<TickResponse> response = lane->queue().Tick(MakeTick("s", 2));
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_THAT(response->leases, SizeIs(2));
  EXPECT_EQ(response->leases[0].job.job(), "ghost");
  EXPECT_THAT(*lane->queue().Mine("s"), SizeIs(2));
  TickRequest done = MakeTick("s");
  for (const Lease& lease : response->leases) done.acks.emplace_back().token = lease.token;
  EXPECT_THAT(lane->queue().Tick(done)->lost, IsEmpty());
  EXPECT_EQ(lane->queue().Inspect("ghost")->state, JobState::kDone);
}

}  // namespace
}  // namespace fairlead::queue
