// What every JobQueue must do, run over the twin in memory, over a real Redis, and over one in
// cluster mode, which refuses calls whose keys are not in one slot.
#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/queue/lane_fixture.h"

namespace fairlead::queue {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class JobQueueContractTest : public ::testing::TestWithParam<std::string> {
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
  void Advance(absl::Duration by) { lane_->clock().Advance(by); }
  void Enqueue(const std::string& id, int priority = 0, const std::string& kind = "train-ocr") {
    const absl::StatusOr<bool> added = queue().Enqueue(MakeJob(id, kind), priority);
    ASSERT_TRUE(added.ok()) << added.status();
    EXPECT_TRUE(*added) << id;
  }
  void EnqueueMany(const std::string& prefix, int n, const std::string& flow = "acme/p") {
    std::vector<NewJob> jobs(static_cast<size_t>(n));
    for (int i = 0; i < n; ++i) {
      jobs[static_cast<size_t>(i)].record = MakeJob(absl::StrCat(prefix, "-", i));
      jobs[static_cast<size_t>(i)].record.set_model(flow);
    }
    const absl::StatusOr<std::vector<bool>> added = queue().EnqueueBatch(jobs);
    ASSERT_TRUE(added.ok()) << added.status();
    EXPECT_EQ(std::count(added->begin(), added->end(), true), n);
  }
  TickResponse Tick(const TickRequest& request) {
    absl::StatusOr<TickResponse> response = queue().Tick(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? std::move(response).value() : TickResponse();
  }
  // Leases exactly one job.
  Lease Take(const std::string& session) {
    TickResponse response = Tick(MakeTick(session, 1));
    EXPECT_THAT(response.leases, SizeIs(1));
    return response.leases.empty() ? Lease() : response.leases[0];
  }
  TickResponse Fail(const std::string& session, const std::string& token, bool preempted = false) {
    TickRequest request = MakeTick(session);
    request.nacks = {{token, "disk on fire", preempted}};
    return Tick(request);
  }
  TickResponse Complete(const std::string& session, const std::string& token) {
    TickRequest request = MakeTick(session);
    request.acks.resize(1);
    request.acks[0].token = token;
    request.acks[0].result.set_artefact_blob("abc");
    return Tick(request);
  }
  LaneStats StatsOf(const std::string& kind = "train-ocr") {
    const absl::StatusOr<std::vector<LaneStats>> all = queue().Stats();
    EXPECT_TRUE(all.ok()) << all.status();
    for (const LaneStats& stats : *all) {
      if (stats.kind == kind) return stats;
    }
    return LaneStats();
  }

  std::unique_ptr<Lane> lane_;
};

TEST_P(JobQueueContractTest, EnqueueingTwiceIsOnceInEveryState) {
  Enqueue("j");
  EXPECT_FALSE(*queue().Enqueue(MakeJob("j"), 5));
  const Lease lease = Take("s");
  EXPECT_FALSE(*queue().Enqueue(MakeJob("j"), 5));
  Complete("s", lease.token);
  EXPECT_FALSE(*queue().Enqueue(MakeJob("j"), 5));
  EXPECT_THAT(Tick(MakeTick("s", 1)).leases, IsEmpty());
}

TEST_P(JobQueueContractTest, LeaseCarriesTheJobByteForByte) {
  Enqueue("j");
  const Lease lease = Take("s");
  EXPECT_EQ(lease.job.SerializeAsString(), MakeJob("j").SerializeAsString());
  EXPECT_GE(lease.token.size(), 16u);
  EXPECT_EQ(lease.attempts, 0);
  EXPECT_EQ(queue().Find("j")->SerializeAsString(), MakeJob("j").SerializeAsString());
  EXPECT_EQ(queue().Find("k").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(JobQueueContractTest, LeasesByPriorityThenTimeAndOnlyTheKindsAskedFor) {
  Enqueue("low", -5);
  Advance(absl::Milliseconds(1));
  Enqueue("first");
  Advance(absl::Milliseconds(1));
  Enqueue("second");
  Enqueue("prelabel", 1, "prelabel-ocr");
  Enqueue("high", 10);
  Enqueue("reward", 100, "train-reward");
  std::vector<std::string> order;
  for (const Lease& lease : Tick(MakeTick("s", 16)).leases) order.push_back(lease.job.job());
  EXPECT_THAT(order, ElementsAre("high", "prelabel", "first", "second", "low"));
}

TEST_P(JobQueueContractTest, LeasesAtMostWhatIsWantedAndNothingTwice) {
  for (int i = 0; i < 10; ++i) Enqueue(absl::StrCat("j", i));
  std::set<std::string> seen;
  for (const char* session : {"a", "b", "c"}) {
    const TickResponse response = Tick(MakeTick(session, 4));
    EXPECT_LE(response.leases.size(), 4u);
    for (const Lease& lease : response.leases) {
      EXPECT_TRUE(seen.insert(lease.job.job()).second) << lease.job.job();
      EXPECT_TRUE(seen.insert(lease.token).second);
    }
  }
  EXPECT_EQ(seen.size(), 20u);
}

TEST_P(JobQueueContractTest, SessionHoldsABoundedNumberOfJobs) {
  for (int i = 0; i < kMaxHeld + 4; i += 820) EnqueueMany(absl::StrCat("j", i), 820);
  size_t held = 0;
  for (int i = 0; i < 50; ++i) held += Tick(MakeTick("s", kMaxBatch)).leases.size();
  EXPECT_EQ(held, static_cast<size_t>(kMaxHeld));
  EXPECT_THAT(*queue().Mine("s"), SizeIs(kMaxHeld));
}

TEST_P(JobQueueContractTest, AckEndsTheJobAndTellsTheResultOnce) {
  Enqueue("j");
  const Lease lease = Take("s");
  EXPECT_THAT(Complete("s", lease.token).lost, IsEmpty());
  EXPECT_THAT(Complete("s", lease.token).lost, ElementsAre(lease.token));
  const std::vector<store::v1::JobFinished> finished = lane_->Finished();
  ASSERT_THAT(finished, SizeIs(1));
  EXPECT_EQ(finished[0].job().job(), "j");
  EXPECT_EQ(finished[0].result().artefact_blob(), "abc");
  EXPECT_FALSE(finished[0].dead());
  EXPECT_EQ(StatsOf().done, 1);
  EXPECT_EQ(queue().Find("j").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(JobQueueContractTest, HeartbeatKeepsTheLeaseAndSilenceLosesIt) {
  Enqueue("j");
  const Lease lease = Take("s");
  for (int i = 0; i < 5; ++i) {
    Advance(absl::Seconds(9));
    EXPECT_FALSE(Tick(MakeTick("s")).fenced);
    EXPECT_EQ(*queue().Reap(10), 0);
  }
  Advance(absl::Seconds(10));
  EXPECT_EQ(*queue().Reap(10), 1);
  EXPECT_TRUE(Tick(MakeTick("s")).fenced);
  const Lease again = Take("t");
  EXPECT_EQ(again.job.job(), "j");
  EXPECT_EQ(again.crashes, 1);
  EXPECT_EQ(again.attempts, 0);
  EXPECT_NE(again.token, lease.token);
}

TEST_P(JobQueueContractTest, ZombieIsFencedBeforeAndAfterTheReaper) {
  for (const bool reaped : {false, true}) {
    const std::string job = absl::StrCat("j", reaped);
    const std::string zombie = absl::StrCat("zombie", reaped);
    Enqueue(job);
    const Lease lease = Take(zombie);
    Advance(absl::Seconds(10));
    if (reaped) {
      ASSERT_EQ(*queue().Reap(10), 1);
    }
    TickRequest late = MakeTick(zombie, 1);
    late.acks.resize(1);
    late.acks[0].token = lease.token;
    late.progress = {{lease.token, "still here"}};
    const TickResponse response = Tick(late);
    EXPECT_TRUE(response.fenced);
    EXPECT_THAT(response.lost, ElementsAre(lease.token, lease.token));
    EXPECT_THAT(response.leases, IsEmpty());
    EXPECT_THAT(*queue().Mine(zombie), IsEmpty());
    EXPECT_THAT(lane_->Finished(), IsEmpty());
    EXPECT_EQ(*queue().Reap(10), reaped ? 0 : 1);
    EXPECT_EQ(StatsOf().ready, reaped ? 2 : 1);
  }
}

TEST_P(JobQueueContractTest, AnotherSessionCannotUseAToken) {
  Enqueue("j");
  const Lease lease = Take("owner");
  Tick(MakeTick("thief"));
  EXPECT_THAT(Complete("thief", lease.token).lost, ElementsAre(lease.token));
  EXPECT_THAT(Fail("thief", lease.token).lost, ElementsAre(lease.token));
  TickRequest note = MakeTick("thief");
  note.progress = {{lease.token, "mine now"}};
  EXPECT_THAT(Tick(note).lost, ElementsAre(lease.token));
  EXPECT_THAT(lane_->Finished(), IsEmpty());
  EXPECT_THAT(Complete("owner", lease.token).lost, IsEmpty());
}

TEST_P(JobQueueContractTest, MineTellsWhatALostReplyLeased) {
  Enqueue("a");
  Enqueue("b");
  Tick(MakeTick("s", 2));  // The reply is lost on the way.
  const absl::StatusOr<std::vector<Lease>> mine = queue().Mine("s");
  ASSERT_TRUE(mine.ok()) << mine.status();
  ASSERT_THAT(*mine, SizeIs(2));
  for (const Lease& lease : *mine) EXPECT_THAT(Complete("s", lease.token).lost, IsEmpty());
  EXPECT_THAT(*queue().Mine("s"), IsEmpty());
  EXPECT_EQ(StatsOf().done, 2);
}

TEST_P(JobQueueContractTest, FailuresBackOffAndEndInTheDeadLetters) {
  Enqueue("j");
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    // Full jitter: the delay is anything below the bound, which is never above five minutes.
    Advance(absl::Minutes(5));
    const std::string session = absl::StrCat("s", attempt);
    const Lease lease = Take(session);
    EXPECT_EQ(lease.attempts, attempt);
    EXPECT_EQ(lease.crashes, 0);
    EXPECT_THAT(Fail(session, lease.token).lost, IsEmpty());
    EXPECT_EQ(StatsOf().delayed, attempt + 1 < kMaxAttempts ? 1 : 0);
  }
  EXPECT_EQ(StatsOf().dead, 1);
  const std::vector<DeadJob> dead = *queue().Dead(0, 10);
  ASSERT_THAT(dead, SizeIs(1));
  EXPECT_EQ(dead[0].job, "j");
  EXPECT_EQ(dead[0].error, "disk on fire");
  EXPECT_EQ(dead[0].attempts, kMaxAttempts);
  const std::vector<store::v1::JobFinished> finished = lane_->Finished();
  ASSERT_THAT(finished, SizeIs(1));
  EXPECT_TRUE(finished[0].dead());
  EXPECT_EQ(finished[0].error(), "disk on fire");
  EXPECT_EQ(finished[0].job().job(), "j");
}

TEST_P(JobQueueContractTest, DelayedJobWakesWhenDueAndNotBefore) {
  Enqueue("j");
  ASSERT_THAT(Fail("s", Take("s").token).lost, IsEmpty());
  const int64_t before = StatsOf().delayed;
  EXPECT_EQ(before, 1);
  Advance(absl::Seconds(2));  // The bound of the first delay.
  EXPECT_EQ(*queue().Reap(10), 1);
  EXPECT_EQ(StatsOf().ready, 1);
  EXPECT_EQ(Take("s").attempts, 1);
}

TEST_P(JobQueueContractTest, CrashesEndInTheDeadLettersWithTheLastError) {
  Enqueue("j");
  ASSERT_THAT(Fail("s", Take("s").token).lost, IsEmpty());
  Advance(absl::Seconds(2));
  for (int crash = 0; crash < kMaxCrashes; ++crash) {
    const Lease lease = Take(absl::StrCat("crashing", crash));
    EXPECT_EQ(lease.crashes, crash);
    EXPECT_EQ(lease.attempts, 1);
    Advance(absl::Seconds(10));
    EXPECT_GE(*queue().Reap(10), 1);
  }
  const std::vector<DeadJob> dead = *queue().Dead(0, 10);
  ASSERT_THAT(dead, SizeIs(1));
  EXPECT_EQ(dead[0].crashes, kMaxCrashes);
  EXPECT_EQ(dead[0].error, "its worker was lost 3 times; last error: disk on fire");
  ASSERT_THAT(lane_->Finished(), SizeIs(1));
  EXPECT_EQ(lane_->Finished()[0].crashes(), kMaxCrashes);
}

TEST_P(JobQueueContractTest, PreemptionCountsNothingAndGoesToTheHead) {
  Enqueue("first");
  Advance(absl::Milliseconds(1));
  Enqueue("second");
  Take("s");
  const Lease second = Take("s");
  ASSERT_EQ(second.job.job(), "second");
  Advance(absl::Milliseconds(1));
  Enqueue("third");
  for (int i = 0; i < 2 * kMaxAttempts; ++i) {
    const std::vector<Lease> mine = *queue().Mine("s");
    ASSERT_THAT(mine, SizeIs(2));
    const Lease& held = mine[0].job.job() == "second" ? mine[0] : mine[1];
    EXPECT_THAT(Fail("s", held.token, /*preempted=*/true).lost, IsEmpty());
    const Lease again = Take("s");
    EXPECT_EQ(again.job.job(), "second");
    EXPECT_EQ(again.attempts, 0);
    EXPECT_EQ(again.crashes, 0);
  }
}

TEST_P(JobQueueContractTest, ReplayStartsADeadJobAfresh) {
  Enqueue("j");
  EXPECT_EQ(ReasonOf(queue().Replay("j")), "STATE_NOT_DEAD");
  EXPECT_EQ(queue().Replay("k").code(), absl::StatusCode::kNotFound);
  for (int crash = 0; crash < kMaxCrashes; ++crash) {
    Take(absl::StrCat("crashing", crash));
    Advance(absl::Seconds(10));
    ASSERT_GE(*queue().Reap(10), 1);
  }
  ASSERT_EQ(StatsOf().dead, 1);
  EXPECT_TRUE(queue().Replay("j").ok());
  EXPECT_EQ(ReasonOf(queue().Replay("j")), "STATE_NOT_DEAD");
  EXPECT_EQ(StatsOf().dead, 0);
  EXPECT_THAT(*queue().Dead(0, 10), IsEmpty());
  const Lease lease = Take("s");
  EXPECT_EQ(lease.crashes, 0);
  EXPECT_THAT(Complete("s", lease.token).lost, IsEmpty());
  EXPECT_EQ(StatsOf().done, 1);
}

TEST_P(JobQueueContractTest, CancelEndsAWaitingJobAndTellsItsHolder) {
  Enqueue("waiting");
  EXPECT_TRUE(queue().Cancel("waiting").ok());
  EXPECT_EQ(ReasonOf(queue().Cancel("waiting")), "STATE_TERMINAL");
  EXPECT_EQ(queue().Cancel("nothing").code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Tick(MakeTick("s", 1)).leases, IsEmpty());

  Enqueue("held");
  const Lease lease = Take("s");
  EXPECT_TRUE(queue().Cancel("held").ok());
  EXPECT_THAT(Tick(MakeTick("s")).cancelled, ElementsAre(lease.token));
  // Told until it lets go.
  EXPECT_THAT(Tick(MakeTick("s")).cancelled, ElementsAre(lease.token));
  EXPECT_THAT(Complete("s", lease.token).lost, ElementsAre(lease.token));
  EXPECT_THAT(Tick(MakeTick("s")).cancelled, IsEmpty());
  const std::vector<store::v1::JobFinished> finished = lane_->Finished();
  ASSERT_THAT(finished, SizeIs(2));
  EXPECT_EQ(finished[1].error(), "cancelled");
  EXPECT_EQ(StatsOf().dead, 2);
  EXPECT_EQ(StatsOf().done, 0);
}

TEST_P(JobQueueContractTest, ReplayedJobIsNotTheOldHoldersAnyMore) {
  Enqueue("j");
  const Lease old = Take("old");
  ASSERT_TRUE(queue().Cancel("j").ok());
  ASSERT_TRUE(queue().Replay("j").ok());
  const Lease fresh = Take("new");
  EXPECT_THAT(Tick(MakeTick("old")).cancelled, ElementsAre(old.token));
  EXPECT_THAT(Complete("old", old.token).lost, ElementsAre(old.token));
  EXPECT_THAT(Complete("new", fresh.token).lost, IsEmpty());
}

// An id that is used again while entries of the cancelled job still lie about.
TEST_P(JobQueueContractTest, ReusedIdIsNotTakenForTheCancelledJob) {
  Enqueue("waited");
  ASSERT_TRUE(queue().Cancel("waited").ok());
  ASSERT_TRUE(queue().Purge({"waited"}).ok());
  Enqueue("waited");
  const TickResponse once = Tick(MakeTick("w", 5));
  EXPECT_THAT(once.leases, SizeIs(1));
  TickRequest ack = MakeTick("w", 5);
  ack.acks.resize(1);
  ack.acks[0].token = once.leases.at(0).token;
  EXPECT_THAT(Tick(ack).leases, IsEmpty());

  Enqueue("held");
  const Lease old = Take("holder");
  ASSERT_TRUE(queue().Cancel("held").ok());
  ASSERT_TRUE(queue().Purge({"held"}).ok());
  Enqueue("held");
  TickRequest late = MakeTick("holder");
  late.acks.resize(1);
  late.acks[0].token = old.token;
  EXPECT_THAT(Tick(late).lost, ElementsAre(old.token));
  const Lease lease = Take("other");
  EXPECT_EQ(lease.job.job(), "held");
  ack = MakeTick("other");
  ack.acks.resize(1);
  ack.acks[0].token = lease.token;
  EXPECT_THAT(Tick(ack).lost, IsEmpty());
  EXPECT_EQ(queue().Inspect("held")->state, JobState::kDone);
}

TEST_P(JobQueueContractTest, DrainReachesTheSessionAtItsNextTickAndStopsLeases) {
  Enqueue("a");
  Enqueue("b");
  EXPECT_EQ(queue().Drain("s").status().code(), absl::StatusCode::kNotFound);
  const Lease lease = Take("s");
  EXPECT_EQ(*queue().Drain("s"), 1);
  const TickResponse told = Tick(MakeTick("s", 1));
  EXPECT_TRUE(told.drain);
  EXPECT_THAT(told.leases, IsEmpty());
  EXPECT_THAT(Fail("s", lease.token, /*preempted=*/true).lost, IsEmpty());
  EXPECT_FALSE(Tick(MakeTick("other")).drain);
  EXPECT_EQ(*queue().Drain(""), 2);
  EXPECT_TRUE(Tick(MakeTick("other", 1)).drain);
  EXPECT_TRUE(queue().Undrain("").ok());
  EXPECT_THAT(Tick(MakeTick("other", 2)).leases, SizeIs(2));
  EXPECT_TRUE(Tick(MakeTick("s", 1)).drain);
}

TEST_P(JobQueueContractTest, SessionsShowWhoIsThereAndHowFar) {
  Enqueue("j");
  const Lease lease = Take("s");
  TickRequest note = MakeTick("s");
  note.progress = {{lease.token, "epoch 3/10"}};
  EXPECT_THAT(Tick(note).lost, IsEmpty());
  std::vector<SessionView> views = *queue().Sessions(10);
  ASSERT_THAT(views, SizeIs(1));
  EXPECT_EQ(views[0].session, "s");
  EXPECT_EQ(views[0].description, "{\"host\":\"test\"}");
  EXPECT_EQ(views[0].leased, 1);
  EXPECT_EQ(views[0].progress, "epoch 3/10");
  EXPECT_EQ(views[0].expire_time, lane_->clock().Now() + absl::Seconds(10));
  Advance(absl::Seconds(10));
  EXPECT_THAT(*queue().Sessions(10), IsEmpty());
}

TEST_P(JobQueueContractTest, ReapIsBounded) {
  for (int i = 0; i < 5; ++i) {
    Enqueue(absl::StrCat("j", i));
    Take(absl::StrCat("s", i));
  }
  Advance(absl::Seconds(10));
  EXPECT_EQ(*queue().Reap(2), 2);
  EXPECT_EQ(*queue().Reap(2), 2);
  EXPECT_EQ(*queue().Reap(2), 1);
  EXPECT_EQ(StatsOf().ready, 5);
}

TEST_P(JobQueueContractTest, EveryJobIsInExactlyOneState) {
  for (int i = 0; i < 12; ++i) Enqueue(absl::StrCat("j", i));
  const std::vector<Lease> leases = Tick(MakeTick("s", 8)).leases;
  Complete("s", leases[0].token);
  Complete("s", leases[1].token);
  Fail("s", leases[2].token);
  Fail("s", leases[3].token, /*preempted=*/true);
  ASSERT_TRUE(queue().Cancel(leases[4].job.job()).ok());
  ASSERT_TRUE(queue().Cancel("j11").ok());
  const LaneStats stats = StatsOf();
  EXPECT_EQ(stats.done, 2);
  EXPECT_EQ(stats.delayed, 1);
  EXPECT_EQ(stats.dead, 2);
  EXPECT_EQ(stats.leased, 3);
  EXPECT_EQ(stats.ready, 4);
}

TEST_P(JobQueueContractTest, BadFieldsAreRefusedByName) {
  EXPECT_EQ(FieldOf(queue().Enqueue(MakeJob(""), 0).status()), "job");
  EXPECT_EQ(FieldOf(queue().Enqueue(MakeJob("a|b"), 0).status()), "job");
  EXPECT_EQ(FieldOf(queue().Enqueue(MakeJob("j", "two words"), 0).status()), "kind");
  EXPECT_EQ(FieldOf(queue().Enqueue(MakeJob("j"), 1001).status()), "priority");
  EXPECT_EQ(FieldOf(queue().Tick(MakeTick("", 1)).status()), "session");
  EXPECT_EQ(FieldOf(queue().Tick(MakeTick("s", kMaxBatch + 1)).status()), "want");
  TickRequest note = MakeTick("s");
  note.progress = {{"token", std::string(1025, 'x')}};
  EXPECT_EQ(FieldOf(queue().Tick(note).status()), "progress.text");
  EXPECT_EQ(FieldOf(queue().Reap(0).status()), "limit");
  EXPECT_EQ(FieldOf(queue().Dead(-1, 1).status()), "offset");
}

INSTANTIATE_TEST_SUITE_P(Lanes, JobQueueContractTest,
                         ::testing::Values("Memory", "Redis", "Cluster"),
                         [](const auto& suite) { return suite.param; });

}  // namespace
}  // namespace fairlead::queue
