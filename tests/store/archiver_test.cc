// Ended tasks leave Redis by age and by count, once they are logged; what has left is read from the
// log, and a rebuild brings back only what is open or can be replayed.
#include "scheduler/operate/archiver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "absl/strings/str_cat.h"
#include "common/base/metrics.h"
#include "common/base/status.h"
#include "common/redis/keys.h"
#include "scheduler/store/event_follower.h"
#include "scheduler/store/log_index.h"
#include "scheduler/store/rebuild.h"
#include "scheduler/store/task_archive.h"
#include "tests/common/temp_directory.h"
#include "tests/store/task_backend.h"
#include "tests/support/status_matchers.h"

namespace fairlead::operate {
namespace {

using store::kProject;
using store::TaskRef;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using v1::Task;

// Redis, its follower and the log, as in the scheduler.
class ArchiverTest : public ::testing::Test {
 protected:
  void SetUp() override {
    backend_ = static_cast<store::RedisBackend*>(store::SharedBackend("Redis"));
    ASSERT_NE(backend_, nullptr);
    RecordLogOptions options;
    options.directory = directory_.File("log");
    auto log = RecordLog::Open(options);
    ASSERT_OK(log);
    log_ = *std::move(log);
    index_ = std::make_unique<store::LogIndex>(log_.get());
    follower_ = std::make_unique<store::EventFollower>(
        backend_->server().client_options(), log_.get(), &backend_->gate(),
        std::vector<store::EventSink*>{index_.get()});
    follower_->Add("s0", 0);
    follower_->Run();
    archive_ = std::make_unique<store::TaskArchive>(&tasks(), index_.get());
    ASSERT_OK(tasks().PutProject(store::MakeProject(), 0));
  }
  void TearDown() override {
    if (follower_ != nullptr) follower_->Stop();
  }

  store::RedisTaskStore& tasks() { return backend_->redis_store(); }
  absl::Time now() { return backend_->clock().Now(); }
  static TaskRef Ref(const std::string& id) { return {kProject, id}; }
  void Submit(const std::string& id) {
    ASSERT_OK(
        tasks().Submit(kProject, "r-" + id, "h", {store::MakeTask(id, backend_->NowMs(), 1)}));
  }
  void End(const std::string& id, Task::State state = Task::CANCELLED) {
    Submit(id);
    ASSERT_OK(tasks().End(Ref(id), state, "no need"));
  }
  // One answer, one label.
  void Complete(const std::string& id, const std::string& who) {
    Submit(id);
    const std::string token = "t-" + id;
    ASSERT_OK(tasks().Offer(
        "s0", {{Ref(id), who, "as-" + who, token, absl::Minutes(1), absl::Minutes(1)}}));
    ASSERT_OK(tasks().Accept(Ref(id), who, token));
    ASSERT_OK(tasks().Annotate(Ref(id), who, token, store::MakeAnnotation(id, who, token)));
    auto task = tasks().Load(Ref(id));
    ASSERT_OK(task);
    store::v1::LabelRecord label;
    label.set_confidence(0.75);
    ASSERT_TRUE(*tasks().Complete(Ref(id), task->version, label));
  }
  int64_t Events() {
    auto seq = backend_->pool().Call({"GET", redis::SequenceKey("s0")});
    return seq.ok() ? seq->AsInt() : -1;
  }
  void AwaitLogged() {
    ASSERT_OK(follower_->AwaitDurable({"s0", static_cast<uint64_t>(Events()), follower_->Life()},
                                      absl::Seconds(20)));
  }
  int RunOnce(const Retention& retention = Retention()) {
    AwaitLogged();
    Archiver archiver(
        &tasks(), [this](absl::string_view slot) { return follower_->DurableSeq(slot); },
        retention);
    auto archived = archiver.RunOnce(now());
    EXPECT_OK(archived);
    return archived.ok() ? *archived : -1;
  }
  std::vector<std::string> InRedis() {
    auto keys = backend_->pool().Call({"KEYS", redis::TaskKey("s0", "*")});
    EXPECT_OK(keys);
    std::vector<std::string> ids;
    for (const redis::Reply& key : keys->elements)
      ids.push_back(key.text.substr(redis::TaskKey("s0", "").size()));
    return ids;
  }

  TempDirectory directory_;
  store::RedisBackend* backend_ = nullptr;
  std::unique_ptr<RecordLog> log_;
  std::unique_ptr<store::LogIndex> index_;
  std::unique_ptr<store::EventFollower> follower_;
  std::unique_ptr<store::TaskArchive> archive_;
};

TEST_F(ArchiverTest, EndedTasksLeaveAfterTheirRetentionAndDeadOnesAfterTheirs) {
  End("old");
  End("dead", Task::DEAD);
  Submit("open");
  backend_->clock().Advance(absl::Hours(24 * 7));
  EXPECT_EQ(RunOnce(), 1);
  EXPECT_EQ(RunOnce(), 0);
  EXPECT_THAT(InRedis(), UnorderedElementsAre("dead", "open"));
  End("new");
  backend_->clock().Advance(absl::Hours(24 * 7) - absl::Milliseconds(1));
  EXPECT_EQ(RunOnce(), 0) << "a millisecond early";
  backend_->clock().Advance(absl::Hours(24 * 90));
  EXPECT_EQ(RunOnce(), 2);
  EXPECT_THAT(InRedis(), UnorderedElementsAre("open"));
}

TEST_F(ArchiverTest, AboveTheCountTheOldestLeaveFirst) {
  for (int i = 0; i < 5; ++i) {
    End(absl::StrCat("t", i));
    backend_->clock().Advance(absl::Seconds(1));
  }
  Retention few;
  few.ended_count = 2;
  const Counter left =
      CounterOf("fairlead_tasks_archived_total", "", {{"queue", "ended"}, {"reason", "count"}});
  const double before = left.Value();
  EXPECT_EQ(RunOnce(few), 3);
  EXPECT_EQ(left.Value() - before, 3);
  EXPECT_THAT(InRedis(), UnorderedElementsAre("t3", "t4"));
}

TEST_F(ArchiverTest, NothingLeavesThatTheLogDoesNotHold) {
  End("a");
  AwaitLogged();
  Retention none;
  none.ended_count = 0;
  Archiver behind(
      &tasks(), [](absl::string_view) { return uint64_t{1}; }, none);
  EXPECT_EQ(*behind.RunOnce(now()), 0);
  EXPECT_THAT(InRedis(), UnorderedElementsAre("a"));
  EXPECT_EQ(RunOnce(none), 1);
}

TEST_F(ArchiverTest, WhatHasLeftIsReadFromTheLog) {
  Complete("a", "ann");
  auto before = tasks().Load(Ref("a"));
  ASSERT_OK(before);
  backend_->clock().Advance(absl::Hours(24 * 8));
  ASSERT_EQ(RunOnce(), 1);
  EXPECT_TRUE(absl::IsNotFound(tasks().Load(Ref("a")).status()));
  auto after = archive_->Load(Ref("a"));
  ASSERT_OK(after);
  EXPECT_EQ(after->state, Task::COMPLETED);
  EXPECT_EQ(after->version, before->version);
  EXPECT_EQ(after->record.SerializeAsString(), before->record.SerializeAsString());
  EXPECT_EQ(after->label.SerializeAsString(), before->label.SerializeAsString());
  ASSERT_EQ(after->annotations.size(), 1);
  EXPECT_EQ(after->annotations[0].SerializeAsString(), before->annotations[0].SerializeAsString());
  // Another project's name does not reach it, nor does an id that never was.
  EXPECT_TRUE(absl::IsNotFound(archive_->Load({"rival/letters", "a"}).status()));
  EXPECT_TRUE(absl::IsNotFound(archive_->Load(Ref("never")).status()));
}

TEST_F(ArchiverTest, ALateCallOfAnArchivedTaskIsAnsweredAsBefore) {
  Complete("a", "ann");
  auto first = tasks().Load(Ref("a"));
  ASSERT_OK(first);
  backend_->clock().Advance(absl::Hours(24 * 8));
  ASSERT_EQ(RunOnce(), 1);
  const auto repeated =
      tasks().Annotate(Ref("a"), "ann", "t-a", store::MakeAnnotation("a", "ann", "t-a", "b"));
  ASSERT_TRUE(absl::IsNotFound(repeated.status()));
  auto receipt = archive_->FirstAnnotation(repeated.status(), Ref("a"), "ann", "t-a");
  ASSERT_OK(receipt);
  EXPECT_EQ(receipt->SerializeAsString(), first->annotations[0].SerializeAsString());
  const auto stale = archive_->FirstAnnotation(repeated.status(), Ref("a"), "ann", "old token");
  EXPECT_EQ(ReasonOf(stale.status()), "LEASE_LOST");
  const absl::Status lost = tasks().Accept(Ref("a"), "bob", "t-b").status();
  EXPECT_EQ(ReasonOf(archive_->RefusalOf(lost, Ref("a"), "bob", "t-b")), "LEASE_LOST");
  EXPECT_EQ(ReasonOf(archive_->RefusalOf(lost, Ref("a"), "ann", "t-a")), "STATE_SUBMITTED");
  const absl::Status unknown = tasks().Accept(Ref("never"), "bob", "t-b").status();
  EXPECT_EQ(archive_->RefusalOf(unknown, Ref("never"), "bob", "t-b"), unknown);
  EXPECT_OK(archive_->RefusalOf(absl::OkStatus(), Ref("a"), "ann", "t-a"));
}

TEST_F(ArchiverTest, ARebuildLeavesInTheLogWhatHasEnded) {
  Complete("done", "ann");
  End("cancelled");
  End("dead", Task::DEAD);
  Submit("open");
  backend_->clock().Advance(absl::Hours(24 * 8));
  ASSERT_EQ(RunOnce(), 2);
  auto before = tasks().Counts(kProject);
  ASSERT_OK(before);
  backend_->gate().Close();
  follower_->Quiesce();
  ASSERT_OK(store::Rebuild(backend_->pool(), *log_, *index_, tasks().topology(), {"s0"}));
  EXPECT_THAT(InRedis(), UnorderedElementsAre("dead", "open"));
  auto after = tasks().Counts(kProject);
  ASSERT_OK(after);
  EXPECT_EQ(after->submitted, 4);
  EXPECT_EQ(after->completed, before->completed);
  EXPECT_EQ(after->cancelled, before->cancelled);
  EXPECT_EQ(after->dead, 1);
  EXPECT_EQ(after->ready, 1);
  EXPECT_EQ(after->annotations, 1);
  EXPECT_EQ(archive_->Load(Ref("done"))->state, Task::COMPLETED);
  auto live = backend_->pool().Call({"ZRANGE", redis::LiveKey("s0"), "0", "-1"});
  ASSERT_OK(live);
  ASSERT_EQ(live->elements.size(), 1);
  EXPECT_EQ(live->elements[0].text, "open");
  // Open for the log, and not in Redis: being rebuilt, not unknown.
  ASSERT_OK(backend_->pool().Call({"DEL", redis::TaskKey("s0", "open")}));
  EXPECT_TRUE(absl::IsUnavailable(archive_->Load(Ref("open")).status()));
}

TEST_F(ArchiverTest, RetractedGoldIsReadFromTheLogAndRebuiltAsSuch) {
  store::v1::LabelRecord label;
  label.set_retracted("the price is 12.80");
  Complete("left", "ann");
  End("dead", Task::DEAD);
  backend_->clock().Advance(absl::Hours(24 * 8));
  ASSERT_EQ(RunOnce(), 1);
  ASSERT_OK(tasks().Retract(Ref("left"), label));
  ASSERT_OK(tasks().Retract(Ref("dead"), label));
  AwaitLogged();
  auto left = archive_->Load(Ref("left"));
  ASSERT_OK(left);
  EXPECT_EQ(left->state, Task::COMPLETED);
  EXPECT_EQ(left->label.retracted(), "the price is 12.80");
  backend_->gate().Close();
  follower_->Quiesce();
  ASSERT_OK(store::Rebuild(backend_->pool(), *log_, *index_, tasks().topology(), {"s0"}));
  auto dead = tasks().Load(Ref("dead"));
  ASSERT_OK(dead);
  EXPECT_EQ(dead->label.retracted(), "the price is 12.80");
  EXPECT_EQ(dead->state, Task::DEAD);
}

TEST(RetentionTest, ASettingThatMakesNoSenseIsNamed) {
  EXPECT_OK(Retention().Validate());
  Retention retention;
  retention.dead = absl::Milliseconds(10);
  EXPECT_THAT(std::string(retention.Validate().message()), HasSubstr("--dead_retention"));
  retention = Retention();
  retention.ended_count = -1;
  EXPECT_THAT(std::string(retention.Validate().message()), HasSubstr("--task_retention_count"));
}

}  // namespace
}  // namespace fairlead::operate
