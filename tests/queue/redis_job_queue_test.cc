// What only the lane in Redis has: incarnations, a full server, waking, clusters, lost libraries.
#include "common/queue/redis_job_queue.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/queue/job_codec.h"
#include "common/queue/lane_wire.h"
#include "common/redis/functions.h"
#include "common/redis/keys.h"
#include "tests/common/temp_directory.h"
#include "tests/queue/lane_fixture.h"
#include "tests/support/eventually.h"
#include "tests/support/small_disk.h"

namespace fairlead::queue {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

double CallsOf(redis::ConnectionPool& pool, const std::string& command) {
  const std::string info = pool.Call({"INFO", "commandstats"})->AsText();
  const std::string head = absl::StrCat("cmdstat_", command, ":calls=");
  const size_t at = info.find(head);
  return at == std::string::npos ? 0 : std::stod(info.substr(at + head.size()));
}

class RedisJobQueueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    lane_ = RedisLane::Create();
    ASSERT_NE(lane_, nullptr);
  }
  RedisJobQueue& queue() { return lane_->redis_queue(); }
  Lease TakeOne(const std::string& session) {
    const absl::StatusOr<TickResponse> response = queue().Tick(MakeTick(session, 1));
    EXPECT_TRUE(response.ok()) << response.status();
    EXPECT_THAT(response->leases, SizeIs(1));
    return response->leases.at(0);
  }
  std::unique_ptr<RedisLane> lane_;
};

TEST_F(RedisJobQueueTest, ClosedLaneIsUnavailableUntilItIsOpened) {
  ASSERT_TRUE(lane_->pool().Call({"DEL", redis::IncarnationKey("m0")}).ok());
  const absl::Status status = queue().Tick(MakeTick("s", 1)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), "LANE_CLOSED");
  EXPECT_EQ(ReasonOf(queue().Enqueue(MakeJob("j"), 0).status()), "LANE_CLOSED");
  ASSERT_TRUE(lane_->pool().Call({"SET", redis::IncarnationKey("m0"), "2-b"}).ok());
  EXPECT_TRUE(*queue().Enqueue(MakeJob("j"), 0));
  EXPECT_EQ(TakeOne("s").job.job(), "j");
}

TEST_F(RedisJobQueueTest, NewIncarnationFencesTheSessionsOfTheOldOne) {
  ASSERT_TRUE(*queue().Enqueue(MakeJob("j"), 0));
  const Lease lease = TakeOne("old");
  ASSERT_TRUE(lane_->pool().Call({"SET", redis::IncarnationKey("m0"), "2-b"}).ok());
  TickRequest late = MakeTick("old");
  late.acks.resize(1);
  late.acks[0].token = lease.token;
  const absl::StatusOr<TickResponse> response = queue().Tick(late);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_TRUE(response->fenced);
  EXPECT_THAT(response->lost, ElementsAre(lease.token));
  EXPECT_THAT(lane_->Finished(), IsEmpty());
  const absl::StatusOr<TickResponse> fresh = queue().Tick(MakeTick("new", 1));
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_FALSE(fresh->fenced);
}

TEST_F(RedisJobQueueTest, SchedulerCallsFollowTheIncarnationThemselves) {
  ASSERT_TRUE(*queue().Enqueue(MakeJob("a"), 0));
  ASSERT_TRUE(lane_->pool().Call({"SET", redis::IncarnationKey("m0"), "2-b"}).ok());
  EXPECT_TRUE(*queue().Enqueue(MakeJob("b"), 0));
  ASSERT_TRUE(lane_->pool().Call({"SET", redis::IncarnationKey("m0"), "3-c"}).ok());
  EXPECT_EQ(*queue().Reap(1), 0);
}

TEST_F(RedisJobQueueTest, FullServerRefusesNewJobsOnly) {
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(*queue().Enqueue(MakeJob(absl::StrCat("j", i)), 0));
  const Lease first = TakeOne("s");
  ASSERT_TRUE(lane_->pool().Call({"CONFIG", "SET", "maxmemory", "1"}).ok());
  const absl::Status refused = queue().Enqueue(MakeJob("late"), 0).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused), "QUEUE_FULL");
  std::vector<std::vector<NewJob>> batches(1, std::vector<NewJob>(1));
  batches[0][0].record = MakeJob("late");
  EXPECT_EQ(ReasonOf(queue().EnqueueEach(batches).status()), "QUEUE_FULL");

  TickRequest request = MakeTick("s", 2);
  request.acks.resize(1);
  request.acks[0].token = first.token;
  const absl::StatusOr<TickResponse> response = queue().Tick(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_THAT(response->lost, IsEmpty());
  EXPECT_THAT(response->leases, SizeIs(2));
  TickRequest fail = MakeTick("s");
  fail.nacks = {{response->leases[0].token, "no", false}};
  EXPECT_TRUE(queue().Tick(fail).ok());
  EXPECT_TRUE(queue().Cancel(response->leases[1].job.job()).ok());
  EXPECT_TRUE(queue().Replay(response->leases[1].job.job()).ok());
  EXPECT_TRUE(queue().Drain("").ok());
  EXPECT_TRUE(queue().Undrain("").ok());
  lane_->clock().Advance(absl::Seconds(10));
  EXPECT_EQ(*queue().Reap(10), 2);  // The session, and the job that waited for its next attempt.
  EXPECT_THAT(lane_->Finished(), SizeIs(2));

  ASSERT_TRUE(lane_->pool().Call({"CONFIG", "SET", "maxmemory", "0"}).ok());
  EXPECT_TRUE(*queue().Enqueue(MakeJob("late"), 0));
}

TEST_F(RedisJobQueueTest, IdleSessionIsWokenByAnEnqueue) {
  ASSERT_TRUE(queue().Tick(MakeTick("s", 1)).ok());  // Nothing there; the session is known now.
  std::thread producer([&] { EXPECT_TRUE(*queue().Enqueue(MakeJob("j"), 0)); });
  EXPECT_TRUE(*queue().WaitForWork(absl::Seconds(20)));
  producer.join();
  EXPECT_EQ(TakeOne("s").job.job(), "j");
}

TEST_F(RedisJobQueueTest, WaitEndsByItselfAndWakeTokensAreBounded) {
  EXPECT_FALSE(*queue().WaitForWork(absl::Milliseconds(20)));
  const std::string wake = redis::WakeKey("m0");
  ASSERT_TRUE(*queue().Enqueue(MakeJob("nobody"), 0));
  EXPECT_EQ(lane_->pool().Call({"LLEN", wake})->AsInt(), 0);
  ASSERT_TRUE(queue().Tick(MakeTick("busy", 1)).ok());  // Takes it, and waits for nothing.
  ASSERT_TRUE(queue().Tick(MakeTick("a", 1)).ok());
  ASSERT_TRUE(queue().Tick(MakeTick("b", 1)).ok());
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(*queue().Enqueue(MakeJob(absl::StrCat("j", i)), 0));
  EXPECT_EQ(lane_->pool().Call({"LLEN", wake})->AsInt(), 2);
}

// An idle worker: nothing but its heartbeats, and what is enqueued between two of them wakes it.
TEST_F(RedisJobQueueTest, IdleWorkerCostsItsHeartbeatsOnly) {
  ASSERT_TRUE(queue().Tick(MakeTick("s", 1)).ok());
  EXPECT_FALSE(*queue().WaitForWork(absl::Milliseconds(1)));
  ASSERT_TRUE(lane_->pool().Call({"CONFIG", "RESETSTAT"}).ok());
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(*queue().WaitForWork(absl::Milliseconds(1)));
    ASSERT_TRUE(queue().Tick(MakeTick("s", 1)).ok());
  }
  EXPECT_EQ(CallsOf(lane_->pool(), "fcall"), 5);
  EXPECT_EQ(CallsOf(lane_->pool(), "blpop"), 0);
  ASSERT_TRUE(*queue().Enqueue(MakeJob("j"), 0));
  EXPECT_TRUE(*queue().WaitForWork(absl::Seconds(20)));
  EXPECT_EQ(TakeOne("s").job.job(), "j");
}

TEST_F(RedisJobQueueTest, WhoHasWorkTakesNoTokenFromThoseWhoWait) {
  ASSERT_TRUE(queue().Tick(MakeTick("busy", 1)).ok());
  EXPECT_FALSE(*queue().WaitForWork(absl::Milliseconds(1)));
  RedisJobQueue other(&lane_->pool(), "m0", &lane_->clock());
  ASSERT_TRUE(other.Tick(MakeTick("idle", 1)).ok());
  queue().LeaveWait();
  ASSERT_TRUE(testing::Eventually(absl::Seconds(20), [&] {
    return absl::StrContains(lane_->pool().Call({"INFO", "clients"})->AsText(),
                             "blocked_clients:0\r\n");
  }));
  ASSERT_TRUE(*queue().Enqueue(MakeJob("j"), 0));
  EXPECT_TRUE(*other.WaitForWork(absl::Seconds(20)));
  // A token that had come already goes back.
  EXPECT_FALSE(*queue().WaitForWork(absl::Milliseconds(1)));
  ASSERT_TRUE(lane_->pool().Call({"RPUSH", redis::WakeKey("m0"), "1"}).ok());
  queue().LeaveWait();
  EXPECT_TRUE(*other.WaitForWork(absl::Seconds(20)));
}

TEST_F(RedisJobQueueTest, EndOfTheWaitIsImmediate) {
  std::thread ender([&] { queue().EndWait(); });
  EXPECT_FALSE(*queue().WaitForWork(absl::Hours(1)));
  ender.join();
  EXPECT_FALSE(*queue().WaitForWork(absl::Hours(1)));
}

// 200 idle workers: as many wake as there are jobs, and the others send nothing.
TEST_F(RedisJobQueueTest, NoHerdComesForAFewJobs) {
  constexpr int kWaiters = 200, kJobs = 5;
  std::atomic<int> leased{0};
  std::vector<std::thread> waiters;
  for (int i = 0; i < kWaiters; ++i) {
    waiters.emplace_back([this, i, &leased] {
      RedisJobQueue lane(&lane_->pool(), "m0", &lane_->clock());
      const std::string session = absl::StrCat("w", i);
      EXPECT_TRUE(lane.Tick(MakeTick(session, 1)).ok());
      EXPECT_TRUE(*lane.WaitForWork(absl::Seconds(60)));
      leased += static_cast<int>(lane.Tick(MakeTick(session, 1))->leases.size());
    });
  }
  const std::string all_blocked = absl::StrCat("blocked_clients:", kWaiters, "\r\n");
  EXPECT_TRUE(testing::Eventually(absl::Seconds(60), [&] {
    return absl::StrContains(lane_->pool().Call({"INFO", "clients"})->AsText(), all_blocked);
  }));
  ASSERT_TRUE(lane_->pool().Call({"CONFIG", "RESETSTAT"}).ok());
  std::vector<NewJob> jobs(kJobs);
  for (int i = 0; i < kJobs; ++i) jobs[i].record = MakeJob(absl::StrCat("j", i));
  ASSERT_TRUE(queue().EnqueueBatch(jobs).ok());
  EXPECT_TRUE(testing::Eventually(absl::Seconds(60), [&] { return leased == kJobs; }));
  EXPECT_EQ(CallsOf(lane_->pool(), "fcall"), 1 + kJobs);
  EXPECT_EQ(CallsOf(lane_->pool(), "blpop"), 0);
  for (int i = kJobs; i < kWaiters; ++i) {
    ASSERT_TRUE(lane_->pool().Call({"RPUSH", redis::WakeKey("m0"), "1"}).ok());
  }
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(leased, kJobs);
}

// The one that is woken cannot do the job: its token goes on to one that can.
TEST_F(RedisJobQueueTest, TokenIsPassedOnToAWorkerThatCan) {
  TickRequest other = MakeTick("other", 1);
  other.kinds = {"train-reward"};
  ASSERT_TRUE(queue().Tick(other).ok());
  ASSERT_TRUE(queue().Tick(MakeTick("able", 1)).ok());
  ASSERT_TRUE(*queue().Enqueue(MakeJob("j"), 0));
  ASSERT_TRUE(*queue().WaitForWork(absl::Seconds(20)));
  EXPECT_THAT(queue().Tick(other)->leases, IsEmpty());
  ASSERT_TRUE(*queue().WaitForWork(absl::Seconds(20)));
  EXPECT_EQ(TakeOne("able").job.job(), "j");
  EXPECT_FALSE(*queue().WaitForWork(absl::Milliseconds(1)));
}

// A reply that was lost, and the same call again: the same leases, nothing twice.
TEST_F(RedisJobQueueTest, RepeatedTickAnswersWithTheSameLeases) {
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(*queue().Enqueue(MakeJob(id), 0));
  const std::vector<std::string> keys = LaneKeys("m0");
  const redis::Arguments tick = {"1700000000000", "1-a",       "s", "", "abcd",
                                 "1|10000|2|0|1", "train-ocr", "0", "0"};
  const auto first = redis::CallFunction(lane_->pool(), "fl_lane3_tick", keys, tick);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(*ParseLeases(first->elements[6], "abcd", ParseNames(first->elements[7])), SizeIs(2));
  const auto again = redis::CallFunction(lane_->pool(), "fl_lane3_tick", keys, tick);
  ASSERT_TRUE(again.ok()) << again.status();
  const auto leases = ParseLeases(again->elements[6], "abcd", ParseNames(again->elements[7]));
  ASSERT_THAT(*leases, SizeIs(2));
  EXPECT_EQ((*leases)[0].job.job(), "a");
  EXPECT_EQ((*leases)[1].token, "abcd-2");
  EXPECT_THAT(*queue().Mine("s"), SizeIs(2));
}

TEST_F(RedisJobQueueTest, SeveralCallsGoInOneRoundTrip) {
  std::vector<std::vector<NewJob>> batches(3, std::vector<NewJob>(1));
  for (int i = 0; i < 3; ++i) batches[i][0].record = MakeJob(absl::StrCat("j", i));
  const auto added = queue().EnqueueEach(batches);
  ASSERT_TRUE(added.ok()) << added.status();
  ASSERT_THAT(*added, SizeIs(3));
  for (const auto& one : *added) EXPECT_THAT(*one, ElementsAre(true));
  const auto ticks = queue().TickAll({MakeTick("s", 2), MakeTick("s", 2), MakeTick("t", 0)});
  ASSERT_TRUE(ticks.ok()) << ticks.status();
  EXPECT_THAT((*ticks)[0]->leases, SizeIs(2));
  EXPECT_THAT((*ticks)[1]->leases, SizeIs(1));
  EXPECT_THAT((*ticks)[2]->leases, IsEmpty());
}

// Of what others brought in, too, and although there is always other work.
TEST_F(RedisJobQueueTest, BusyClientHearsOfNewClasses) {
  RedisJobQueue other(&lane_->pool(), "m0", &lane_->clock());
  TickRequest request = MakeTick("s", 1);
  request.able.labels = {"eu"};
  for (const bool in_one_round_trip : {false, true}) {
    const std::string name = in_one_round_trip ? "b" : "a";
    for (int i = 0; i < 9; ++i) {
      ASSERT_TRUE(*other.Enqueue(MakeJob(absl::StrCat(name, i)), 0));
    }
    store::v1::JobRecord labelled = MakeJob(name, in_one_round_trip ? "prelabel-ocr" : "train-ocr");
    labelled.mutable_requirements()->add_labels("eu");
    ASSERT_TRUE(*other.Enqueue(labelled, 0));
    std::vector<std::string> ids;
    for (int i = 0; i < 4; ++i) {
      lane_->clock().Advance(absl::Milliseconds(1));
      const absl::StatusOr<TickResponse> response =
          in_one_round_trip ? (*queue().TickAll({request}))[0] : queue().Tick(request);
      ASSERT_THAT(response->leases, SizeIs(1));
      ids.push_back(response->leases[0].job.job());
    }
    EXPECT_THAT(ids, ::testing::Contains(name));
  }
}

// Redis came back empty, and there are as many classes as before, but other ones.
TEST_F(RedisJobQueueTest, ClassesOfAnEarlierIncarnationAreNotTakenForThoseOfThis) {
  TickRequest request = MakeTick("s", 1);
  request.able.labels = {"eu", "us"};
  for (const char* label : {"eu", "us"}) {
    store::v1::JobRecord job = MakeJob(label);
    job.mutable_requirements()->add_labels(label);
    ASSERT_TRUE(*queue().Enqueue(job, 0));
    request.session = label;
    EXPECT_THAT(queue().Tick(request)->leases, SizeIs(1)) << label;
    ASSERT_TRUE(lane_->pool().Call({"FLUSHALL"}).ok());
    ASSERT_TRUE(lane_->pool().Call({"SET", redis::IncarnationKey("m0"), "2-b"}).ok());
  }
}

TEST_F(RedisJobQueueTest, SurvivesAKillOfRedisWithItsLeases) {
  ASSERT_TRUE(*queue().Enqueue(MakeJob("j"), 0));
  const Lease lease = TakeOne("s");
  ASSERT_TRUE(lane_->server().Restart(/*keep_files=*/true).ok());
  EXPECT_EQ(queue().Tick(MakeTick("s")).status().code(), absl::StatusCode::kUnavailable);
  TickRequest done = MakeTick("s");
  done.acks.resize(1);
  done.acks[0].token = lease.token;
  const absl::StatusOr<TickResponse> response = queue().Tick(done);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_THAT(response->lost, IsEmpty());
  EXPECT_THAT(lane_->Finished(), SizeIs(1));
}

// Redis's file on a disk without room: what it said before it noticed is not lost either.
TEST_F(RedisJobQueueTest, FullDiskRefusesAndLosesNothing) {
  TempDirectory directory;
  auto disk = testing::SmallDisk::Mount(directory.File("disk"), 4 << 20);
  if (absl::IsPermissionDenied(disk.status())) GTEST_SKIP() << disk.status().message();
  ASSERT_TRUE(disk.ok()) << disk.status();
  testing::RedisServerOptions options;
  options.arguments = {"--dir", directory.File("disk")};
  lane_ = RedisLane::Create(options);
  ASSERT_NE(lane_, nullptr);
  ASSERT_TRUE(*queue().Enqueue(MakeJob("first"), 0));
  const Lease lease = TakeOne("s");
  ASSERT_TRUE((*disk)->Fill().ok());
  std::vector<std::string> taken;
  absl::Status refused;
  ASSERT_TRUE(testing::Eventually(absl::Seconds(20), [&] {
    const std::string id = absl::StrCat("j", taken.size());
    refused = queue().Enqueue(MakeJob(id), 0).status();
    if (refused.ok()) taken.push_back(id);
    return !refused.ok();
  }));
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("MISCONF"));
  TickRequest done = MakeTick("s");
  done.acks.emplace_back().token = lease.token;
  EXPECT_EQ(queue().Tick(done).status().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE((*disk)->Free().ok());
  absl::StatusOr<TickResponse> response;
  ASSERT_TRUE(testing::Eventually(absl::Seconds(20), [&] {
    response = queue().Tick(done);
    return response.ok();
  })) << response.status();
  EXPECT_THAT(response->lost, IsEmpty());
  ASSERT_TRUE(lane_->server().Restart(/*keep_files=*/true).ok());
  queue().Stats().status().IgnoreError();  // The connection is broken.
  for (const std::string& id : taken) EXPECT_TRUE(queue().Find(id).ok()) << id;
  EXPECT_EQ(queue().Inspect("first")->state, JobState::kDone);
}

TEST_F(RedisJobQueueTest, LoadsTheLibraryAgainWhenRedisForgotIt) {
  ASSERT_TRUE(*queue().Enqueue(MakeJob("a"), 0));
  ASSERT_TRUE(lane_->pool().Call({"FUNCTION", "FLUSH"}).ok());
  EXPECT_TRUE(*queue().Enqueue(MakeJob("b"), 0));
}

TEST_F(RedisJobQueueTest, UsesRedisTimeWithoutASimulation) {
  RedisJobQueue real(&lane_->pool(), "m0");
  ASSERT_TRUE(*real.Enqueue(MakeJob("j"), 0));
  TickRequest request = MakeTick("s", 1);
  request.lease = absl::Milliseconds(1);
  ASSERT_THAT(real.Tick(request)->leases, SizeIs(1));
  int reaped = 0;
  for (int i = 0; i < 1000 && reaped == 0; ++i) reaped = *real.Reap(1);
  EXPECT_EQ(reaped, 1);
  EXPECT_TRUE(real.Tick(request)->fenced);
}

// What `jobs` jobs of two flows do that come and go one by one, and what the lane says of them
// then. `otherwise`: by calls that the functions do not take for single ones, with the same effect.
std::string OneByOne(RedisLane& lane, int jobs, bool otherwise) {
  RedisJobQueue& queue = lane.redis_queue();
  std::vector<std::string> said;
  std::vector<std::string> held;
  EXPECT_TRUE(queue.SetRetention({1000, absl::Hours(1), 1024}).ok());
  const auto tick = [&](int number) {
    TickRequest request = MakeTick("s", 1);
    if (otherwise) request.description = absl::StrCat(number);
    if (held.size() > 2) {
      request.acks.resize(1);
      request.acks[0].token = held.front();
      request.acks[0].result.set_seconds(number);
      held.erase(held.begin());
    }
    const absl::StatusOr<TickResponse> response = queue.Tick(request);
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_THAT(response->lost, IsEmpty());
    for (const Lease& lease : response->leases) {
      held.push_back(lease.token);
      said.push_back(lease.job.job());
    }
  };
  for (int i = 0; i < jobs; ++i) {
    std::vector<NewJob> batch(otherwise ? 2 : 1);
    for (NewJob& job : batch) {
      job.record = MakeJob(absl::StrCat("j", i));
      job.record.set_model(absl::StrCat("acme/", i % 3 == 0 ? "a" : "b"));
      (*job.record.mutable_params())["more"] = std::string(i % 7 * 150, 'x');
    }
    const absl::StatusOr<std::vector<bool>> added = queue.EnqueueBatch(batch);
    EXPECT_TRUE(added.ok() && added->front()) << added.status();
    if (i % 4 != 3) tick(i);
  }
  for (int i = 0; i < jobs / 3; ++i) tick(i);
  for (int i = 0; i < jobs; i += 9) {
    const absl::StatusOr<JobView> view = queue.Inspect(absl::StrCat("j", i));
    said.push_back(view.ok() ? absl::StrCat(static_cast<int>(view->state), view->result.seconds())
                             : "forgotten");
  }
  for (const store::v1::JobFinished& one : lane.Finished()) said.push_back(one.job().job());
  const absl::StatusOr<std::vector<LaneStats>> stats = queue.Stats();
  EXPECT_TRUE(stats.ok()) << stats.status();
  for (const LaneStats& one : *stats) {
    said.push_back(absl::StrCat(one.kind, one.ready, " ", one.leased, " ", one.done));
  }
  return absl::StrJoin(said, " ");
}

TEST_F(RedisJobQueueTest, JobsThatComeOneByOneAreServedAsOthersAre) {
  constexpr int kJobs = 1300;  // More than are remembered.
  const std::string plain = OneByOne(*lane_, kJobs, /*otherwise=*/false);
  EXPECT_GT(CallsOf(lane_->pool(), "hsetnx"), kJobs / 2);  // Else this compares nothing.
  const std::unique_ptr<RedisLane> other = RedisLane::Create();
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(plain, OneByOne(*other, kJobs, /*otherwise=*/true));
  EXPECT_EQ(CallsOf(other->pool(), "hsetnx"), 0);
  EXPECT_THAT(plain, ::testing::HasSubstr("forgotten"));
}

// A worker's Redis user may touch its lane and nothing else, and needs nothing else.
TEST_F(RedisJobQueueTest, WorkerUserNeedsFewCommands) {
  ASSERT_TRUE(*queue().Enqueue(MakeJob("j"), 0));
  ASSERT_TRUE(
      lane_->pool()
          .Call({"ACL",          "SETUSER",        "worker",   "on",     ">secret", "~fl:{m0}:*",
                 "+fcall",       "+get",           "+blpop",   "+hget",  "+hset",   "+hdel",
                 "+hmget",       "+zadd",          "+zrem",    "+zcard", "+zrange", "+llen",
                 "+zrangebylex", "+zrangebyscore", "+zpopmin", "+rpush", "+lpop",   "+incr",
                 "+xadd",        "+time"})
          .ok());
  redis::RedisOptions options = lane_->server().client_options();
  options.user = "worker";
  options.password = "secret";
  redis::ConnectionPool pool(options);
  RedisJobQueue worker(&pool, "m0", &lane_->clock());
  const absl::StatusOr<TickResponse> leased = worker.Tick(MakeTick("w", 1));
  ASSERT_TRUE(leased.ok()) << leased.status();
  ASSERT_THAT(leased->leases, SizeIs(1));
  EXPECT_THAT(*worker.Mine("w"), SizeIs(1));
  TickRequest done = MakeTick("w");
  done.acks.resize(1);
  done.acks[0].token = leased->leases[0].token;
  ASSERT_TRUE(worker.Tick(done).ok());
  EXPECT_TRUE(worker.WaitForWork(absl::Milliseconds(1)).ok());
  EXPECT_FALSE(pool.Call({"GET", "fl:{s0}:inc"}).ok());
}

}  // namespace
}  // namespace fairlead::queue
