// The way of a task: submitted, offered, decided, ended, archived.
#include "tests/store/task_store_contract.h"
#include "tests/fakes/faulty_task_store.h"
#include "tests/store/whole_way.h"

namespace fairlead::store {
namespace {

TEST_P(TaskStoreContractTest, AProjectIsReplacedByItsRevisionOnly) {
  ExpectReason(store().PutProject(MakeProject(), 0).status(), absl::StatusCode::kAlreadyExists,
               "PROJECT_EXISTS");
  ASSERT_OK(store().PutProject(MakeProject(), 1));
  ExpectReason(store().PutProject(MakeProject(), 1).status(), absl::StatusCode::kAborted,
               "REVISION_CHANGED");
  ExpectReason(store().PutProject(MakeProject("acme/none"), 3).status(),
               absl::StatusCode::kNotFound, "PROJECT_NOT_FOUND");
}

TEST_P(TaskStoreContractTest, ARequestIdSubmitsOnce) {
  const std::vector<v1::TaskRecord> tasks = {MakeTask("a", backend_->NowMs()),
                                             MakeTask("b", backend_->NowMs())};
  const auto first = store().Submit(kProject, "r", "h", tasks);
  ASSERT_OK(first);
  const auto again = store().Submit(kProject, "r", "h", {MakeTask("c", 1), MakeTask("d", 1)});
  ASSERT_OK(again);
  EXPECT_EQ(again->tasks, first->tasks);
  EXPECT_GE(again->seq, first->seq);
  ExpectReason(store().Submit(kProject, "r", "other", tasks).status(),
               absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED");
  ExpectReason(store().Submit("acme/none", "r", "h", tasks).status(), absl::StatusCode::kNotFound,
               "PROJECT_NOT_FOUND");
  ExpectCounts({.submitted = 2, .ready = 2});
}

TEST_P(TaskStoreContractTest, ASubmitAboveTheBacklogCapStoresNothing) {
  ASSERT_OK(store().PutProject(MakeProject(kProject, 2), 1));
  Submit("a");
  const int64_t now = backend_->NowMs();
  const auto full = store().Submit(kProject, "r", "h", {MakeTask("b", now), MakeTask("c", now)});
  ExpectReason(full.status(), absl::StatusCode::kResourceExhausted, "QUEUE_FULL");
  EXPECT_TRUE(absl::IsNotFound(store().Load(Ref("b")).status()));
  ExpectCounts({.submitted = 1, .ready = 1});
}

TEST_P(TaskStoreContractTest, ATaskGoesFromSubmitToLabel) {
  Submit("a");
  Take("a", "ann");
  ExpectCounts({.submitted = 1, .open = 1});
  ASSERT_OK(Answer("a", "ann"));
  Take("a", "bob");
  EXPECT_FALSE(Offer("a", "cat", "t-cat")) << "no place is left";
  ASSERT_OK(Answer("a", "bob"));
  const TaskState before = Get("a");
  EXPECT_EQ(before.have, 2);
  EXPECT_EQ(before.open, 0);
  v1::LabelRecord label;
  label.set_confidence(0.75);
  EXPECT_FALSE(*store().Complete(Ref("a"), before.version - 1, label)) << "moved on";
  EXPECT_TRUE(*store().Complete(Ref("a"), before.version, label));
  EXPECT_FALSE(*store().Complete(Ref("a"), before.version, label)) << "ended";
  const TaskState after = Get("a");
  EXPECT_EQ(after.state, Task::COMPLETED);
  EXPECT_EQ(after.label.confidence(), 0.75);
  EXPECT_EQ(after.annotations.size(), 2);
  ExpectCounts({.submitted = 1, .completed = 1, .annotations = 2});
}

TEST_P(TaskStoreContractTest, OnlyAnOpenTaskOfARunningProjectIsOffered) {
  Submit("a");
  v1::ProjectRecord paused = MakeProject();
  paused.set_paused(true);
  ASSERT_OK(store().PutProject(paused, 1));
  EXPECT_FALSE(Offer("a", "ann", "t"));
  ASSERT_OK(store().PutProject(MakeProject(), 2));
  EXPECT_TRUE(Offer("a", "ann", "t"));
  ASSERT_OK(store().End(Ref("a"), Task::CANCELLED, "no need"));
  EXPECT_FALSE(Offer("a", "bob", "t"));
  EXPECT_FALSE(Offer("none", "bob", "t"));
}

TEST_P(TaskStoreContractTest, AnEndWithdrawsWhatIsOutAndStays) {
  Submit("a");
  Take("a", "ann");
  ASSERT_TRUE(Offer("a", "bob", "t-bob"));
  ASSERT_OK(store().End(Ref("a"), Task::CANCELLED, "no need"));
  EXPECT_EQ(*store().End(Ref("a"), Task::CANCELLED, "again"), 0);
  ExpectReason(store().End(Ref("a"), Task::DEAD, "x").status(),
               absl::StatusCode::kFailedPrecondition, "STATE_TERMINAL");
  EXPECT_EQ(PlaceOf("a", "bob"), Placement::WITHDRAWN);
  ExpectLost(store().Accept(Ref("a"), "bob", "t-bob").status());
  ExpectLost(Answer("a", "bob").status());
  ExpectLost(Release("a", "bob", Placement::DECLINED).status());
  EXPECT_EQ(Get("a").end_reason, "no need");
  EXPECT_EQ(Get("a").open, 0);
  ExpectCounts({.submitted = 1, .cancelled = 1});
}

TEST_P(TaskStoreContractTest, ATaskExpiresInItsTime) {
  Submit("a");
  EXPECT_EQ(*store().End(Ref("a"), Task::EXPIRED, "expired"), 0);
  EXPECT_EQ(Get("a").state, Task::READY);
  Advance(absl::Hours(24));
  EXPECT_GT(*store().End(Ref("a"), Task::EXPIRED, "expired"), 0);
  ExpectCounts({.submitted = 1, .expired = 1});
}

TEST_P(TaskStoreContractTest, MoreAnswersAreWantedByTheVersionSeen) {
  Submit("a", 1);
  Take("a", "ann");
  ASSERT_OK(Answer("a", "ann"));
  const int64_t version = Get("a").version;
  EXPECT_FALSE(*store().SetWant(Ref("a"), version - 1, 2));
  EXPECT_TRUE(*store().SetWant(Ref("a"), version, 2));
  EXPECT_EQ(Get("a").want, 2);
  EXPECT_TRUE(Offer("a", "bob", "t-bob"));
}

TEST_P(TaskStoreContractTest, APrelabelChangesTheVersionUntilTheEnd) {
  Submit("a");
  v1::PrelabelRecord record;
  record.set_confidence(0.5);
  ASSERT_OK(store().Prelabel(Ref("a"), record));
  EXPECT_EQ(Get("a").prelabel.confidence(), 0.5);
  EXPECT_FALSE(*store().SetWant(Ref("a"), 1, 3));
  ASSERT_OK(store().End(Ref("a"), Task::DEAD, "x"));
  record.set_confidence(0.9);
  ASSERT_OK(store().Prelabel(Ref("a"), record));
  EXPECT_EQ(Get("a").prelabel.confidence(), 0.5);
}

TEST_P(TaskStoreContractTest, ADelayedTaskStartsInItsTime) {
  v1::TaskRecord task = MakeTask("a", backend_->NowMs());
  task.set_start_ms(backend_->NowMs() + 1000);
  ASSERT_OK(store().Submit(kProject, "r", "h", {task}));
  ExpectCounts({.submitted = 1, .delayed = 1});
  EXPECT_FALSE(Offer("a", "ann", "t"));
  ASSERT_OK(store().Start(Ref("a")));
  EXPECT_EQ(Get("a").state, Task::DELAYED);
  Advance(absl::Seconds(1));
  ASSERT_OK(store().Start(Ref("a")));
  ExpectCounts({.submitted = 1, .ready = 1});
  EXPECT_TRUE(Offer("a", "ann", "t"));
}

TEST_P(TaskStoreContractTest, ADeadTaskIsReplayedForOneAnswerMore) {
  Submit("a", 1);
  Take("a", "ann");
  ASSERT_OK(Answer("a", "ann"));
  ExpectReason(store().Replay(Ref("a"), backend_->clock().Now()).status(),
               absl::StatusCode::kFailedPrecondition, "STATE_NOT_DEAD");
  ASSERT_OK(store().End(Ref("a"), Task::DEAD, "broken"));
  ExpectCounts({.submitted = 1, .dead = 1, .annotations = 1});
  ASSERT_OK(store().Replay(Ref("a"), backend_->clock().Now() + absl::Hours(2)));
  EXPECT_EQ(Get("a").end_reason, "");
  EXPECT_EQ(Get("a").record.expire_ms(), backend_->NowMs() + 7'200'000);
  ExpectCounts({.submitted = 1, .open = 1, .annotations = 1});
  EXPECT_TRUE(Offer("a", "bob", "t-bob"));
}

TEST_P(TaskStoreContractTest, AnEndedTaskLeavesWhenItsTermsAreMet) {
  Submit("a");
  const auto end = store().End(Ref("a"), Task::CANCELLED, "no need");
  ASSERT_OK(end);
  const int64_t now = backend_->NowMs();
  EXPECT_FALSE(*store().Archive(Ref("a"), {false, now - 1, *end})) << "too early";
  EXPECT_FALSE(*store().Archive(Ref("a"), {false, now, *end - 1})) << "not logged";
  EXPECT_FALSE(*store().Archive(Ref("a"), {true, now, *end})) << "no dead letter";
  ExpectCounts({.submitted = 1, .cancelled = 1});
  EXPECT_TRUE(*store().Archive(Ref("a"), {false, now, *end}));
  EXPECT_FALSE(*store().Archive(Ref("a"), {false, now, *end})) << "gone";
  EXPECT_TRUE(absl::IsNotFound(store().Load(Ref("a")).status()));
  ExpectCounts({.submitted = 1, .cancelled = 1});
  const auto again = store().Submit(kProject, "r-a", "h", {MakeTask("other", now)});
  ASSERT_OK(again);
  EXPECT_THAT(again->tasks, ElementsAre("a")) << "its request id is remembered";
}

TEST_P(TaskStoreContractTest, WorkLostAfterTheEndIsLoggedBeforeTheTaskLeaves) {
  Submit("a");
  Take("a", "ann");
  const auto end = store().End(Ref("a"), Task::CANCELLED, "no need");
  ASSERT_OK(end);
  Advance(kWorkWindow + absl::Milliseconds(1));
  ExpectLost(Answer("a", "ann").status());
  EXPECT_FALSE(*store().Archive(Ref("a"), {false, backend_->NowMs(), *end}));
  EXPECT_TRUE(*store().Archive(Ref("a"), {false, backend_->NowMs(), *end + 1}));
}

TEST_P(TaskStoreContractTest, ALiveOrReplayedTaskDoesNotLeave) {
  Submit("a");
  EXPECT_FALSE(*store().Archive(Ref("a"), {false, backend_->NowMs(), 1000}));
  ASSERT_OK(store().End(Ref("a"), Task::DEAD, "broken"));
  const int64_t died = backend_->NowMs();
  Advance(absl::Hours(1));
  ASSERT_OK(store().Replay(Ref("a"), backend_->clock().Now() + absl::Hours(2)));
  EXPECT_FALSE(*store().Archive(Ref("a"), {true, died, 1000}));
  ASSERT_OK(store().End(Ref("a"), Task::DEAD, "broken"));
  EXPECT_FALSE(*store().Archive(Ref("a"), {true, died, 1000})) << "died again, later";
  EXPECT_TRUE(*store().Archive(Ref("a"), {true, backend_->NowMs(), 1000}));
  ExpectCounts({.submitted = 1, .dead = 1});
}

TEST_P(TaskStoreContractTest, AnAnswerIsErasedOnceItsTaskHasEnded) {
  Submit("a", 1);
  Take("a", "ana");
  const auto answer = Answer("a", "ana");
  ASSERT_OK(answer);
  v1::AnnotationRecord left = answer->record;
  left.clear_answer();
  left.set_erased(true);
  EXPECT_EQ(ReasonOf(store().Erase(Ref("a"), left).status()), "STATE_NOT_TERMINAL");
  ASSERT_OK(store().Complete(Ref("a"), Get("a").version, v1::LabelRecord()));
  v1::AnnotationRecord stranger = left;
  stranger.set_contractor("eve");
  EXPECT_EQ(ReasonOf(store().Erase(Ref("a"), stranger).status()), "ANNOTATION_NOT_FOUND");
  const auto seq = store().Erase(Ref("a"), left);
  ASSERT_OK(seq);
  const TaskState after = Get("a");
  ASSERT_EQ(after.annotations.size(), 1u);
  EXPECT_TRUE(after.annotations[0].erased());
  EXPECT_FALSE(after.annotations[0].has_answer());
  EXPECT_EQ(after.annotations[0].pay().micros(), answer->record.pay().micros());
  EXPECT_EQ(after.have, 1);
  const auto again = Answer("a", "ana");
  ASSERT_OK(again);
  EXPECT_TRUE(again->record.erased()) << "the receipt stays";
  EXPECT_FALSE(store().Archive(Ref("a"), {false, backend_->NowMs(), *seq - 1}).value())
      << "the log must hold the deletion first";
  EXPECT_TRUE(store().Archive(Ref("a"), {false, backend_->NowMs(), *seq}).value());
  EXPECT_GT(store().Erase(Ref("a"), left).value(), *seq) << "of one that has left";
}

TEST_P(TaskStoreContractTest, AnotherProjectsNameDoesNotReachATask) {
  ASSERT_OK(store().PutProject(MakeProject("rival/letters"), 0));
  Submit("a");
  Take("a", "ann");
  const TaskRef foreign = {"rival/letters", "a"};
  EXPECT_TRUE(absl::IsNotFound(store().Load(foreign).status()));
  EXPECT_TRUE(absl::IsNotFound(store().End(foreign, Task::CANCELLED, "").status()));
  EXPECT_TRUE(
      absl::IsNotFound(store().Release(foreign, "ann", "t-ann", Placement::RETURNED, "").status()));
  EXPECT_TRUE(absl::IsNotFound(
      store().Annotate(foreign, "ann", "t-ann", MakeAnnotation("a", "ann", "t-ann")).status()));
  EXPECT_TRUE(absl::IsNotFound(store().Accept(foreign, "ann", "t-ann").status()));
  EXPECT_FALSE(*store().Archive(foreign, {false, backend_->NowMs(), 1000}));
  ExpectCounts({.submitted = 1, .open = 1});
  const auto rival = store().Counts("rival/letters");
  ASSERT_OK(rival);
  EXPECT_EQ(rival->submitted + rival->ready + rival->open + rival->cancelled, 0);
}

TEST_P(TaskStoreContractTest, EveryCallMayLoseItsRequestOrItsReply) {
  testing::FaultyTaskStore undisturbed(&store(), [](int) { return testing::Fault::kNone; });
  ASSERT_OK(GoTheWholeWay(undisturbed, backend_->NowMs(), [] {}));
  ASSERT_OK(CheckTheWholeWay(store()));
  for (int i = 0; i < undisturbed.calls(); ++i) {
    for (testing::Fault fault : {testing::Fault::kBefore, testing::Fault::kAfter}) {
      SCOPED_TRACE(
          absl::StrCat("call ", i, fault == testing::Fault::kAfter ? " after" : " before"));
      ASSERT_OK(backend_->Clear());
      ASSERT_OK(store().PutProject(MakeProject(), 0));
      testing::FaultyTaskStore faulty(
          &store(), [&](int n) { return n == i ? fault : testing::Fault::kNone; });
      ASSERT_OK(GoTheWholeWay(faulty, backend_->NowMs(), [] {}));
      ASSERT_OK(CheckTheWholeWay(store()));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, TaskStoreContractTest,
                         ::testing::Values("Memory", "Redis", "Cluster"),
                         [](const auto& param) { return param.param; });

}  // namespace
}  // namespace fairlead::store
