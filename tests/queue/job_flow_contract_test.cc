// Fairness, limits, classes, delays, retention and dead letters: what every JobQueue must do, run
// over the twin in memory and over a real Redis. The last test runs both side by side.
#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "tests/queue/lane_fixture.h"

namespace fairlead::queue {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

NewJob InFlow(const std::string& id, const std::string& flow, int priority = 0) {
  NewJob job;
  job.record = MakeJob(id);
  job.record.set_model(flow);
  job.priority = priority;
  return job;
}

std::vector<NewJob> Many(const std::string& flow, int n) {
  std::vector<NewJob> jobs;
  for (int i = 0; i < n; ++i) jobs.push_back(InFlow(absl::StrCat(flow, "-", i), flow));
  return jobs;
}

std::vector<std::string> IdsOf(const std::vector<Lease>& leases) {
  std::vector<std::string> ids;
  for (const Lease& lease : leases) ids.push_back(lease.job.job());
  return ids;
}

std::vector<queue::Ack> AcksOf(const std::vector<Lease>& leases) {
  std::vector<queue::Ack> acks;
  for (const Lease& lease : leases) acks.emplace_back().token = lease.token;
  return acks;
}

class JobFlowContractTest : public ::testing::TestWithParam<std::string> {
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
  void Enqueue(const std::vector<NewJob>& jobs) {
    const auto added = queue().EnqueueBatch(jobs);
    ASSERT_TRUE(added.ok()) << added.status();
  }
  TickResponse Tick(const TickRequest& request) {
    absl::StatusOr<TickResponse> response = queue().Tick(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? std::move(response).value() : TickResponse();
  }
  std::vector<Lease> Take(int want, const std::string& session = "s") {
    return Tick(MakeTick(session, want)).leases;
  }
  void Ack(const std::vector<Lease>& leases, const std::string& session = "s") {
    TickRequest request = MakeTick(session);
    request.acks = AcksOf(leases);
    EXPECT_THAT(Tick(request).lost, IsEmpty());
  }
  void Limit(const std::string& flow, const FlowLimits& limits) {
    EXPECT_TRUE(queue().SetLimits(flow, limits).ok());
  }

  std::unique_ptr<Lane> lane_;
};

TEST_P(JobFlowContractTest, BatchAddsEachIdOnceAndAllOrNone) {
  const std::vector<NewJob> batch = {InFlow("a", "acme/p"), InFlow("b", "acme/q"),
                                     InFlow("a", "acme/p"), InFlow("c", "acme/p", 5)};
  EXPECT_THAT(*queue().EnqueueBatch(batch), ElementsAre(true, true, false, true));
  EXPECT_THAT(*queue().EnqueueBatch(batch), ElementsAre(false, false, false, false));
  EXPECT_THAT(Take(10), SizeIs(3));
  FlowLimits limits;
  limits.waiting = 2;
  Limit("acme/q", limits);
  const absl::Status full = queue()
                                .EnqueueBatch({InFlow("d", "acme/p"), InFlow("e", "acme/q"),
                                               InFlow("f", "acme/q"), InFlow("g", "acme/q")})
                                .status();
  EXPECT_EQ(ReasonOf(full), "QUEUE_FULL");
  EXPECT_THAT(Take(10), IsEmpty());
  Enqueue({InFlow("e", "acme/q"), InFlow("f", "acme/q")});
  EXPECT_EQ(ReasonOf(queue().EnqueueBatch({InFlow("g", "acme/q")}).status()), "QUEUE_FULL");
}

TEST_P(JobFlowContractTest, FlowsAreServedInTurnHoweverDeepOneIs) {
  Enqueue(Many("acme/flood", 500));
  Take(50);
  Enqueue({InFlow("single", "acme/small")});
  // The flood may finish its quantum, not more.
  const std::vector<std::string> next = IdsOf(Take(kQuantum + 1));
  EXPECT_THAT(next, ::testing::Contains("single"));
}

TEST_P(JobFlowContractTest, ServiceFollowsTheWeights) {
  FlowLimits heavy;
  heavy.weight = 3;
  Limit("acme/heavy", heavy);
  Enqueue(Many("acme/heavy", 600));
  Enqueue(Many("acme/light", 600));
  std::map<std::string, int> served;
  for (int i = 0; i < 40; ++i) {
    const std::vector<Lease> leases = Take(10);
    for (const Lease& lease : leases) ++served[lease.job.model()];
    Ack(leases);
  }
  EXPECT_NEAR(served["acme/heavy"], 300, 2 * kQuantum);
  EXPECT_NEAR(served["acme/light"], 100, 2 * kQuantum);
}

TEST_P(JobFlowContractTest, IdleFlowSavesNothingUp) {
  Enqueue(Many("acme/busy", 200));
  for (int i = 0; i < 10; ++i) Ack(Take(10));
  Enqueue(Many("acme/back", 100));
  std::map<std::string, int> served;
  for (const Lease& lease : Take(64)) ++served[lease.job.model()];
  EXPECT_NEAR(served["acme/busy"], 32, kQuantum);
}

TEST_P(JobFlowContractTest, DeadlinesComeFirstInsideAPriority) {
  const absl::Time now = lane_->clock().Now();
  std::vector<NewJob> jobs = {InFlow("plain", "f"), InFlow("late", "f"), InFlow("soon", "f"),
                              InFlow("low", "f", -1), InFlow("high", "f", 1)};
  jobs[1].deadline = now + absl::Hours(2);
  jobs[2].deadline = now + absl::Hours(1);
  jobs[3].deadline = now + absl::Seconds(1);
  Enqueue(jobs);
  EXPECT_THAT(IdsOf(Take(10)), ElementsAre("high", "soon", "late", "plain", "low"));
}

TEST_P(JobFlowContractTest, PausedFlowWaitsUntilItIsResumed) {
  FlowLimits limits;
  limits.paused = true;
  Limit("acme/p", limits);
  Enqueue(Many("acme/p", 3));
  Enqueue({InFlow("other", "acme/q")});
  EXPECT_THAT(IdsOf(Take(10)), ElementsAre("other"));
  EXPECT_TRUE(queue().Inspect("acme/p-0")->limits.paused);
  Limit("acme/p", FlowLimits());
  EXPECT_THAT(Take(10), SizeIs(3));
}

TEST_P(JobFlowContractTest, CapHoldsUntilOneIsGivenBack) {
  FlowLimits limits;
  limits.leased = 2;
  Limit("acme/p", limits);
  Enqueue(Many("acme/p", 5));
  const std::vector<Lease> first = Take(10);
  EXPECT_THAT(first, SizeIs(2));
  EXPECT_THAT(Take(10, "t"), IsEmpty());
  EXPECT_EQ(queue().Inspect("acme/p-4")->flow_leased, 2);
  Ack({first[0]});
  EXPECT_THAT(Take(10, "t"), SizeIs(1));
  Advance(absl::Seconds(10));  // Both sessions are lost, and what they held.
  EXPECT_EQ(*queue().Reap(10), 2);
  EXPECT_THAT(Take(10, "u"), SizeIs(2));
}

TEST_P(JobFlowContractTest, RateLetsABurstThroughAndThenTheRate) {
  FlowLimits limits;
  limits.per_second = 2;
  limits.burst = 3;
  Limit("acme/p", limits);
  Enqueue(Many("acme/p", 10));
  EXPECT_THAT(Take(10), SizeIs(3));
  EXPECT_THAT(Take(10), IsEmpty());
  EXPECT_TRUE(queue().Inspect("acme/p-9")->rate_spent);
  Advance(absl::Milliseconds(500));
  EXPECT_THAT(Take(10), SizeIs(1));
  Advance(absl::Seconds(1));
  EXPECT_THAT(Take(10), SizeIs(2));
}

TEST_P(JobFlowContractTest, StartTimeHoldsAJobBackAndTellsWhoWaits) {
  std::vector<NewJob> jobs = {InFlow("later", "f")};
  jobs[0].start = lane_->clock().Now() + absl::Seconds(5);
  Enqueue(jobs);
  const TickResponse waiting = Tick(MakeTick("s", 1));
  EXPECT_THAT(waiting.leases, IsEmpty());
  EXPECT_EQ(waiting.next_due, jobs[0].start);
  // One of those who wait is enough.
  EXPECT_EQ(Tick(MakeTick("t", 1)).next_due, absl::InfiniteFuture());
  EXPECT_EQ(queue().Inspect("later")->state, JobState::kDelayed);
  Advance(absl::Seconds(5));
  EXPECT_THAT(IdsOf(Take(1)), ElementsAre("later"));
}

TEST_P(JobFlowContractTest, RequirementsAreMetOrTheJobWaits) {
  NewJob cuda = InFlow("cuda", "f");
  cuda.record.mutable_requirements()->set_device("cuda");
  cuda.record.mutable_requirements()->set_memory_mib(8000);
  NewJob labelled = InFlow("labelled", "f");
  labelled.record.mutable_requirements()->add_labels("eu");
  Enqueue({cuda, labelled, InFlow("any", "f")});
  TickRequest plain = MakeTick("cpu", 10);
  EXPECT_THAT(IdsOf(Tick(plain).leases), ElementsAre("any"));
  TickRequest small = MakeTick("small", 10);
  small.able = {"cuda", 4000, {}};
  EXPECT_THAT(Tick(small).leases, IsEmpty());
  TickRequest large = MakeTick("large", 10);
  large.able = {"cuda", 16000, {"eu", "night"}};
  const std::vector<Lease> leases = Tick(large).leases;
  EXPECT_THAT(IdsOf(leases), ::testing::UnorderedElementsAre("cuda", "labelled"));
  EXPECT_EQ(leases[0].job.requirements().SerializeAsString().empty(), false);
}

// A client that always finds work must hear of new classes as well.
TEST_P(JobFlowContractTest, BusyWorkerServesAClassThatIsNewToIt) {
  Enqueue(Many("acme/flood", 500));
  TickRequest request = MakeTick("s", 10);
  request.able.labels = {"eu"};
  request.acks = AcksOf(Tick(request).leases);
  NewJob labelled = InFlow("labelled", "acme/flood");
  labelled.record.mutable_requirements()->add_labels("eu");
  Enqueue({labelled});
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i) {
    Advance(absl::Milliseconds(1));  // Of two classes, the one served longest ago.
    const TickResponse response = Tick(request);
    ASSERT_THAT(response.leases, SizeIs(10)) << "the flood keeps it busy";
    for (const std::string& id : IdsOf(response.leases)) ids.push_back(id);
    request.acks = AcksOf(response.leases);
  }
  EXPECT_THAT(ids, ::testing::Contains("labelled"));
}

TEST_P(JobFlowContractTest, InspectTellsWhereAJobStands) {
  Enqueue({InFlow("j", "acme/p", 7)});
  EXPECT_EQ(queue().Inspect("j")->state, JobState::kReady);
  EXPECT_EQ(queue().Inspect("j")->priority, 7);
  EXPECT_EQ(queue().Inspect("j")->class_ready, 1);
  const std::vector<Lease> leases = Take(1);
  TickRequest note = MakeTick("s");
  note.progress = {{leases[0].token, "epoch 1/2"}};
  Tick(note);
  EXPECT_EQ(queue().Inspect("j")->state, JobState::kLeased);
  EXPECT_EQ(queue().Inspect("j")->session, "s");
  EXPECT_EQ(queue().Inspect("j")->progress, "epoch 1/2");
  TickRequest done = MakeTick("s");
  done.acks.emplace_back().token = leases[0].token;
  done.acks[0].result.set_artefact_blob("blob");
  Tick(done);
  const auto ended = queue().Inspect("j");
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state, JobState::kDone);
  EXPECT_EQ(ended->result.artefact_blob(), "blob");
  EXPECT_EQ(ended->when, lane_->clock().Now());
  EXPECT_EQ(queue().Inspect("none").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(JobFlowContractTest, DeadJobsAreFoundReplayedAndPurgedByWhatTheySay) {
  for (int i = 0; i < 5; ++i) {
    const std::string id = absl::StrCat("j", i);
    Enqueue({InFlow(id, i < 3 ? "acme/p" : "acme/q")});
    ASSERT_TRUE(queue().Cancel(id).ok());
    Advance(absl::Milliseconds(1));
  }
  DeadQuery query;
  query.text = "acme/p";
  query.limit = 2;
  DeadPage page = *queue().SearchDead(query);
  ASSERT_THAT(page.jobs, SizeIs(2));
  EXPECT_EQ(page.jobs[0].job, "j2");
  EXPECT_EQ(page.jobs[0].flow, "acme/p");
  ASSERT_GE(page.next, 0);
  query.offset = page.next;
  page = *queue().SearchDead(query);
  ASSERT_THAT(page.jobs, SizeIs(1));
  EXPECT_EQ(page.next, -1);
  query = DeadQuery();
  query.kind = "prelabel-ocr";
  EXPECT_THAT(queue().SearchDead(query)->jobs, IsEmpty());
  const std::vector<absl::Status> replayed = *queue().ReplayAll({"j0", "nobody", "j1"});
  EXPECT_TRUE(replayed[0].ok() && replayed[2].ok());
  EXPECT_EQ(replayed[1].code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(IdsOf(Take(10)), ElementsAre("j0", "j1"));
  const std::vector<absl::Status> purged = *queue().Purge({"j2", "j0"});
  EXPECT_TRUE(purged[0].ok());
  EXPECT_EQ(ReasonOf(purged[1]), "STATE_NOT_DEAD");
  EXPECT_EQ(queue().Inspect("j2").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(*queue().Enqueue(MakeJob("j2"), 0));
}

TEST_P(JobFlowContractTest, EndedJobsAreForgottenByCountAndByAge) {
  ASSERT_TRUE(queue().SetRetention({1000, absl::Hours(1), 16}).ok());
  for (int round = 0; round < 12; ++round) {
    std::vector<NewJob> jobs;
    for (int i = 0; i < 100; ++i) jobs.push_back(InFlow(absl::StrCat("j", round, "-", i), "f"));
    Enqueue(jobs);
    Ack(Take(100));
  }
  // The last thousand are remembered, and at most a batch more.
  EXPECT_EQ(queue().Inspect("j0-0").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(queue().Inspect("j3-0").ok());
  EXPECT_FALSE((*queue().EnqueueBatch({InFlow("j11-0", "f")}))[0]);
  Advance(absl::Hours(1));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(queue().Reap(100).ok());
  EXPECT_EQ(queue().Inspect("j11-99").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE((*queue().EnqueueBatch({InFlow("j11-0", "f")}))[0]);
}

TEST_P(JobFlowContractTest, CancelledJobDoesNotRunWhereverItWaited) {
  std::vector<NewJob> jobs = Many("acme/p", 40);
  jobs[5].deadline = lane_->clock().Now() + absl::Hours(1);
  Enqueue(jobs);
  for (const int i : {0, 5, 17, 39}) {
    ASSERT_TRUE(queue().Cancel(absl::StrCat("acme/p-", i)).ok());
  }
  ASSERT_TRUE(queue().Replay("acme/p-17").ok());
  std::vector<std::string> ids = IdsOf(Take(100));
  EXPECT_THAT(ids, SizeIs(37));
  EXPECT_EQ(std::count(ids.begin(), ids.end(), "acme/p-17"), 1);
  EXPECT_EQ(ids.back(), "acme/p-17");
  EXPECT_EQ((*queue().Stats())[0].ready, 0);
  EXPECT_EQ((*queue().Stats())[0].leased, 37);
}

INSTANTIATE_TEST_SUITE_P(Lanes, JobFlowContractTest,
                         ::testing::Values("Memory", "Redis", "Cluster"),
                         [](const auto& suite) { return suite.param; });

// Random calls to the twin and to Redis, step by step: the same leases in the same order, the same
// answers. Failures are left out: their delays are random.
class SideBySide {
 public:
  explicit SideBySide(uint32_t seed) : random_(seed), redis_(RedisLane::Create()) {}

  void Run(int steps) {
    ASSERT_NE(redis_, nullptr);
    for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) Step();
  }

 private:
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint32_t>(n)); }
  std::string Job() { return absl::StrCat("j", Pick(60)); }

  template <typename Call>
  void Same(const std::string& what, const Call& call) {
    absl::StrAppend(&history_, what, "\n");
    EXPECT_EQ(call(memory_.queue(), 0), call(redis_->queue(), 1)) << history_;
  }

  void Step() {
    switch (Pick(9)) {
      case 0:
      case 1:
        return Enqueue();
      case 2:
      case 3:
      case 4:
        return Tick();
      case 5: {
        const std::string id = Job();
        return Same(absl::StrCat("cancel ", id),
                    [&](JobQueue& queue, int) { return queue.Cancel(id).code(); });
      }
      case 6: {
        const std::string id = Job();
        return Same(absl::StrCat("replay ", id),
                    [&](JobQueue& queue, int) { return queue.Replay(id).code(); });
      }
      case 7: {
        FlowLimits limits;
        limits.weight = 1 + Pick(4);
        limits.leased = Pick(2) * 3;
        limits.paused = Pick(4) == 0;
        const std::string flow = absl::StrCat("f", Pick(4));
        return Same(absl::StrCat("limits ", flow, " weight ", limits.weight, " cap ", limits.leased,
                                 " paused ", limits.paused),
                    [&](JobQueue& queue, int) { return queue.SetLimits(flow, limits).code(); });
      }
      default:
        return Elapse();
    }
  }

  void Elapse() {
    const absl::Duration by = Pick(2) == 0 ? absl::Seconds(3) : absl::Seconds(11);
    memory_.clock().Advance(by);
    redis_->clock().Advance(by);
    for (int i = 0; i < 2; ++i) {
      Same("reap", [](JobQueue& queue, int) { return queue.Reap(100).value_or(-1); });
    }
    Same("stats", [](JobQueue& queue, int) {
      std::string text;
      const auto stats = queue.Stats();
      EXPECT_TRUE(stats.ok()) << stats.status();
      for (const LaneStats& one : stats.value_or(std::vector<LaneStats>())) {
        absl::StrAppend(&text, one.kind, " ", one.ready, " ", one.delayed, " ", one.leased, " ",
                        one.done, " ", one.dead, "\n");
      }
      return text;
    });
  }

  void Enqueue() {
    std::vector<NewJob> jobs;
    for (int i = 0; i <= Pick(6); ++i) {
      jobs.push_back(InFlow(Job(), absl::StrCat("f", Pick(4)), Pick(3) == 0 ? Pick(3) : 0));
      if (Pick(4) == 0) jobs.back().record.set_kind("prelabel-ocr");
      if (Pick(5) == 0) jobs.back().deadline = memory_.clock().Now() + absl::Seconds(Pick(50));
      if (Pick(6) == 0) jobs.back().start = memory_.clock().Now() + absl::Seconds(2);
    }
    std::string what = "enqueue";
    for (const NewJob& job : jobs) {
      absl::StrAppend(&what, " ", job.record.job(), "/", job.record.model(), "/", job.record.kind(),
                      "/", job.priority);
    }
    Same(what, [&](JobQueue& queue, int) { return *queue.EnqueueBatch(jobs); });
  }

  void Tick() {
    const int who = Pick(3);
    const std::string session = absl::StrCat("s", who, "-", life_[who]);
    const int want = Pick(8), settle = Pick(4);
    const uint32_t choice = random_();
    bool fenced = false;
    Same(absl::StrCat("tick ", session, " want ", want, " settle ", settle),
         [&](JobQueue& queue, int which) {
           TickRequest request = MakeTick(session, want);
           auto& held = held_[which][session];
           for (int i = 0; i < settle && !held.empty(); ++i) {
             const size_t at = choice % held.size();
             if ((choice >> i) % 3 == 0) {
               request.nacks.push_back({held[at].token, "no", /*preempted=*/true});
             } else {
               request.acks.emplace_back().token = held[at].token;
             }
             held.erase(held.begin() + static_cast<int64_t>(at));
           }
           const absl::StatusOr<TickResponse> response = queue.Tick(request);
           EXPECT_TRUE(response.ok()) << response.status();
           fenced = fenced || response->fenced;
           if (response->fenced) held.clear();
           held.insert(held.end(), response->leases.begin(), response->leases.end());
           return absl::StrCat(response->fenced, response->drain, " lost ", response->lost.size(),
                               " cancelled ", response->cancelled.size(), " leased ",
                               absl::StrJoin(IdsOf(response->leases), " "));
         });
    if (fenced) ++life_[who];  // A session that was fenced begins anew, under another id.
  }

  std::mt19937 random_;
  std::string history_;
  MemoryLane memory_;
  std::unique_ptr<RedisLane> redis_;
  int life_[3] = {0, 0, 0};
  std::map<std::string, std::vector<Lease>> held_[2];
};

TEST(JobQueueSideBySideTest, TwinAndRedisDoTheSame) {
  for (uint32_t seed = 1; seed <= 12 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    SideBySide(seed).Run(150);
  }
}

}  // namespace
}  // namespace fairlead::queue
