#include "worker/agent.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include "absl/time/clock.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/queue/memory_job_queue.h"
#include "tests/fakes/faulty_job_queue.h"
#include "tests/support/eventually.h"

namespace fairlead::worker {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

bool Eventually(const std::function<bool()>& condition) {
  return testing::Eventually(absl::Seconds(10), condition);
}

class ScriptedHandler final : public JobHandler {
 public:
  using Script = std::function<absl::StatusOr<store::v1::JobResult>(JobContext&)>;
  explicit ScriptedHandler(Script script) : script_(std::move(script)) {}
  absl::StatusOr<store::v1::JobResult> Run(const store::v1::JobRecord& /*job*/,
                                           JobContext& context) override {
    ++runs;
    return script_(context);
  }
  void Forget(const store::v1::JobRecord& /*job*/) override { ++forgotten; }
  int runs = 0;
  int forgotten = 0;

 private:
  const Script script_;
};

// Time of the queue stands still unless told; heartbeats come every 10 ms of real time.
class AgentTest : public ::testing::Test {
 protected:
  void Begin(ScriptedHandler::Script script) {
    handler_ = std::make_unique<ScriptedHandler>(std::move(script));
    AgentOptions options;
    options.lease = absl::Milliseconds(30);
    options.retry = absl::Milliseconds(1);
    agent_ = std::make_unique<Agent>(
        &queue_, std::map<std::string, JobHandler*>{{"train-ocr", handler_.get()}},
        [this](absl::Duration) -> absl::StatusOr<bool> {
          agent_->RequestStop();
          return false;
        },
        options);
    store::v1::JobRecord job;
    job.set_job("j");
    job.set_kind("train-ocr");
    ASSERT_TRUE(*queue_.Enqueue(job, 0));
  }
  // The first tick that `which` picks has its effect, and its reply is lost.
  void LoseReplyOf(std::function<bool(const queue::TickRequest&)> which) {
    lost_ = std::move(which);
  }
  testing::Fault FaultOf(const queue::TickRequest* tick) {
    if (tick == nullptr || lost_ == nullptr || !lost_(*tick)) return testing::Fault::kNone;
    lost_ = nullptr;
    return testing::Fault::kAfter;
  }
  queue::LaneStats Stats() { return (*queue_.Stats())[0]; }
  static bool AwaitCommand(JobContext& context, trainer::Command command) {
    return Eventually([&] { return context.command() == command; });
  }
  static store::v1::JobResult Result() {
    store::v1::JobResult result;
    result.set_artefact_blob("model");
    return result;
  }

  SimulatedClock clock_{absl::FromUnixSeconds(1'700'000'000)};
  std::vector<store::v1::JobFinished> finished_;
  queue::MemoryJobQueue memory_{
      &clock_, /*seed=*/3, [this](const store::v1::JobFinished& one) { finished_.push_back(one); }};
  std::function<bool(const queue::TickRequest&)> lost_;
  testing::FaultyJobQueue queue_{&memory_,
                                 [this](const queue::TickRequest* tick) { return FaultOf(tick); }};
  std::unique_ptr<ScriptedHandler> handler_;
  std::unique_ptr<Agent> agent_;
};

TEST_F(AgentTest, RunsAJobAndHandsInItsResult) {
  Begin([](JobContext&) { return Result(); });
  EXPECT_TRUE(agent_->RunOnce());
  EXPECT_FALSE(agent_->RunOnce());
  ASSERT_THAT(finished_, SizeIs(1));
  EXPECT_EQ(finished_[0].result().artefact_blob(), "model");
  EXPECT_EQ(handler_->forgotten, 1);
}

TEST_F(AgentTest, FailureIsAnAttemptWithItsError) {
  Begin([](JobContext&) { return absl::InvalidArgumentError("no training example"); });
  for (int i = 0; i < queue::kMaxAttempts; ++i) {
    EXPECT_TRUE(agent_->RunOnce());
    clock_.Advance(absl::Minutes(5));
    ASSERT_TRUE(queue_.Reap(10).ok());
  }
  EXPECT_EQ(handler_->runs, queue::kMaxAttempts);
  ASSERT_THAT(finished_, SizeIs(1));
  EXPECT_TRUE(finished_[0].dead());
  EXPECT_EQ(finished_[0].error(), "no training example");
  EXPECT_EQ(handler_->forgotten, 0);
}

TEST_F(AgentTest, HeartbeatCarriesProgressAndKeepsTheLease) {
  Begin([this](JobContext& context) {
    context.SetProgress("epoch 1/2");
    EXPECT_TRUE(Eventually([&] { return (*queue_.Sessions(1))[0].progress == "epoch 1/2"; }));
    const absl::Time before = (*queue_.Sessions(1))[0].expire_time;
    clock_.Advance(absl::Milliseconds(20));
    EXPECT_TRUE(Eventually([&] { return (*queue_.Sessions(1))[0].expire_time > before; }));
    return Result();
  });
  EXPECT_TRUE(agent_->RunOnce());
  EXPECT_EQ(Stats().done, 1);
}

TEST_F(AgentTest, FencedJobAbortsAndHandsInNothing) {
  Begin([this](JobContext& context) -> absl::StatusOr<store::v1::JobResult> {
    clock_.Advance(absl::Seconds(1));
    EXPECT_TRUE(AwaitCommand(context, trainer::Command::kAbort));
    EXPECT_TRUE(absl::IsAborted(context.Check()));
    return Result();
  });
  const std::string before = agent_->session();
  EXPECT_TRUE(agent_->RunOnce());
  EXPECT_NE(agent_->session(), before);
  EXPECT_THAT(finished_, IsEmpty());
  EXPECT_EQ(handler_->forgotten, 0);
  ASSERT_TRUE(queue_.Reap(10).ok());
  EXPECT_EQ(Stats().ready, 1);
}

TEST_F(AgentTest, CancelledJobAbortsAndLetsGo) {
  Begin([this](JobContext& context) -> absl::StatusOr<store::v1::JobResult> {
    EXPECT_TRUE(queue_.Cancel("j").ok());
    EXPECT_TRUE(AwaitCommand(context, trainer::Command::kAbort));
    return context.Check();
  });
  EXPECT_TRUE(agent_->RunOnce());
  EXPECT_EQ((*queue_.Sessions(1))[0].leased, 0);
  ASSERT_THAT(finished_, SizeIs(1));
  EXPECT_EQ(finished_[0].error(), "cancelled");
}

TEST_F(AgentTest, DrainHandsTheJobBackUncounted) {
  Begin([this](JobContext& context) -> absl::StatusOr<store::v1::JobResult> {
    EXPECT_TRUE(queue_.Drain(agent_->session()).ok());
    EXPECT_TRUE(AwaitCommand(context, trainer::Command::kCheckpointAndStop));
    return context.Check();
  });
  EXPECT_EQ(agent_->Run(), AgentExit::kInterrupted);
  EXPECT_EQ(Stats().ready, 1);
  EXPECT_EQ(handler_->runs, 1);
  queue::TickRequest other;
  other.session = "other";
  other.kinds = {"train-ocr"};
  other.want = 1;
  const absl::StatusOr<queue::TickResponse> taken = queue_.Tick(other);
  ASSERT_THAT(taken->leases, SizeIs(1));
  EXPECT_EQ(taken->leases[0].attempts, 0);
  EXPECT_EQ(taken->leases[0].crashes, 0);
}

TEST_F(AgentTest, StopWhileIdleInterruptsNothing) {
  Begin([](JobContext&) { return Result(); });
  EXPECT_EQ(agent_->Run(), AgentExit::kIdle);  // The wait after the job asks it to stop.
  EXPECT_EQ(Stats().done, 1);
}

// Nothing polls for a stop: the wait itself is told.
TEST_F(AgentTest, StopEndsTheWaitOfAnIdleWorker) {
  Begin([](JobContext&) { return Result(); });
  EXPECT_TRUE(agent_->RunOnce());
  Mutex mu;
  CondVar changed;
  bool ended = false;
  std::atomic<int> waits{0};
  AgentOptions options;
  options.end_wait = [&] {
    MutexLock lock(&mu);
    ended = true;
    changed.NotifyAll();
  };
  Agent idle(
      &queue_, {{"train-ocr", handler_.get()}},
      [&](absl::Duration) -> absl::StatusOr<bool> {
        MutexLock lock(&mu);
        ++waits;
        while (!ended) changed.Wait(&mu);
        return false;
      },
      options);
  std::thread runner([&] { EXPECT_EQ(idle.Run(), AgentExit::kIdle); });
  EXPECT_TRUE(Eventually([&] { return waits == 1; }));
  idle.RequestStop();
  runner.join();
  EXPECT_EQ(waits, 1);
}

TEST_F(AgentTest, JobThatFinishesDuringTheDrainIsDone) {
  Begin([this](JobContext& context) {
    agent_->RequestStop();
    EXPECT_EQ(context.command(), trainer::Command::kCheckpointAndStop);
    return Result();
  });
  EXPECT_EQ(agent_->Run(), AgentExit::kIdle);
  EXPECT_EQ(Stats().done, 1);
}

TEST_F(AgentTest, ResumesWhatALostReplyLeased) {
  Begin([](JobContext&) { return Result(); });
  LoseReplyOf([](const queue::TickRequest& request) { return request.want > 0; });
  EXPECT_FALSE(agent_->RunOnce());
  EXPECT_EQ(Stats().leased, 1);
  EXPECT_TRUE(agent_->RunOnce());
  EXPECT_EQ(Stats().done, 1);
  EXPECT_EQ(finished_[0].crashes(), 0);
}

TEST_F(AgentTest, LostReplyOfAnAckIsNoSecondResult) {
  Begin([](JobContext&) { return Result(); });
  LoseReplyOf([](const queue::TickRequest& request) { return !request.acks.empty(); });
  EXPECT_TRUE(agent_->RunOnce());
  EXPECT_THAT(finished_, SizeIs(1));
  EXPECT_EQ(handler_->forgotten, 1);
}

}  // namespace
}  // namespace fairlead::worker
