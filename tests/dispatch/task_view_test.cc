#include "scheduler/dispatch/task_view.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/store/task_backend.h"
#include "tests/support/status_matchers.h"

namespace fairlead::dispatch {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kLater = 2'000'000;

class TaskViewTest : public ::testing::Test {
 protected:
  void SetUp() override {
    backend_ = store::SharedBackend("Redis");
    ASSERT_NE(backend_, nullptr);
    auto* redis = static_cast<store::RedisBackend*>(backend_);
    ASSERT_OK(view_.LoadShard(redis->pool(), "s0"));
  }

  store::v1::Event Next(const std::string& task) {
    store::v1::Event event;
    event.set_slot("s0");
    event.set_seq(++seq_);
    event.set_key(task);
    event.set_want(2);
    event.set_project(store::kProject);
    return event;
  }
  void Submit(const std::string& task, int64_t create_ms, int32_t priority = 0) {
    store::v1::Event event = Next("");
    store::v1::TaskRecord record = store::MakeTask(task, create_ms);
    record.set_priority(priority);
    *event.mutable_tasks_submitted()->add_tasks() = record;
    view_.Apply(event, 0);
  }
  void SubmitGold(const std::string& task, int64_t create_ms) {
    store::v1::Event event = Next("");
    store::v1::TaskRecord record = store::MakeTask(task, create_ms);
    record.mutable_gold()->set_class_name("a");
    *event.mutable_tasks_submitted()->add_tasks() = record;
    view_.Apply(event, 0);
  }
  void Prelabel(const std::string& task, double confidence) {
    store::v1::Event event = Next(task);
    event.mutable_prelabelled()->set_model_version("v1");
    event.mutable_prelabelled()->set_confidence(confidence);
    view_.Apply(event, 0);
  }
  void Online(const std::string& contractor, int32_t credit) {
    store::v1::Event event = Next("");
    event.mutable_presence()->set_contractor(contractor);
    event.mutable_presence()->set_credit(credit);
    event.mutable_presence()->set_until_ms(kLater);
    view_.Apply(event, 0);
  }
  void Place(const std::string& task, const std::string& contractor, const std::string& assignment,
             store::v1::Placement::State state, int32_t open) {
    store::v1::Event event = Next(task);
    event.set_open(open);
    event.mutable_placement()->set_contractor(contractor);
    event.mutable_placement()->set_assignment(assignment);
    event.mutable_placement()->set_state(state);
    view_.Apply(event, 0);
  }
  // How many offers more he may hold, as he is told of to the dispatcher; -1 without a change.
  int32_t FreeOf(const std::string& contractor) {
    for (const ContractorChange& change : view_.TakeChanged(kLater - 1)) {
      if (change.contractor == contractor) return change.free;
    }
    return -1;
  }
  std::vector<std::string> Wanting(size_t limit = 100) {
    std::vector<std::string> tasks;
    view_.VisitWanting(limit, [&](const std::string& id, const LiveTask&) {
      tasks.push_back(id);
      return id != "waiting";
    });
    return tasks;
  }

  store::TaskBackend* backend_ = nullptr;
  TaskView view_;
  uint64_t seq_ = 1'000;
};

TEST_F(TaskViewTest, WhatTheChampionIsUnsureOfGoesAhead) {
  Submit("sure", 1'000'000);
  Submit("unsure", 1'000'001);
  Submit("unread", 1'000'002);
  EXPECT_THAT(Wanting(), ElementsAre("sure", "unsure", "unread"));
  Prelabel("sure", 0.99);
  Prelabel("unsure", 0.40);
  EXPECT_THAT(Wanting(), ElementsAre("unsure", "sure", "unread"));
  Prelabel("unsure", 0.999);
  EXPECT_THAT(Wanting(), ElementsAre("sure", "unsure", "unread")) << "a better champion read it";
  EXPECT_THAT(view_.TasksOf(store::kProject, "", 10), ElementsAre("sure", "unsure", "unread"))
      << "lists stay in order of time";
}

TEST_F(TaskViewTest, NobodyWaitsForTheUnsureLongerThanTenMinutes) {
  Submit("sure", 0);
  Prelabel("sure", 1.0);
  Submit("unsure-soon", 599'000);
  Prelabel("unsure-soon", 0.0);
  Submit("unsure-late", 601'000);
  Prelabel("unsure-late", 0.0);
  EXPECT_THAT(Wanting(), ElementsAre("unsure-soon", "sure", "unsure-late"));
}

TEST_F(TaskViewTest, TheClientsPriorityComesFirst) {
  Submit("first", 2'000'000, 0);
  Prelabel("first", 0.99);
  Submit("second", 1'000'000, 1);
  Prelabel("second", 0.01);
  EXPECT_THAT(Wanting(), ElementsAre("first", "second"));
}

TEST_F(TaskViewTest, AnOfferCountsBeforeItsEventHasCome) {
  Submit("task", 1'000'000);
  Online("ana", 1);
  EXPECT_EQ(FreeOf("ana"), 1);
  view_.NoteOffered("task", "ana", "first");
  EXPECT_THAT(Wanting(), ElementsAre("task")) << "two answers are wanted";
  EXPECT_EQ(FreeOf("ana"), 0);
  EXPECT_TRUE(view_.PlacesOf("ana").empty()) << "it is not on disk yet";
  view_.NoteOffered("task", "ben", "second");
  EXPECT_THAT(Wanting(), IsEmpty());
  Place("task", "ana", "first", store::v1::Placement::OFFERED, 1);
  Place("task", "ben", "second", store::v1::Placement::OFFERED, 2);
  EXPECT_THAT(Wanting(), IsEmpty());
  EXPECT_EQ(view_.PlacesOf("ana").size(), 1);
  Place("task", "ana", "first", store::v1::Placement::LAPSED, 1);
  EXPECT_THAT(Wanting(), ElementsAre("task"));
  EXPECT_EQ(FreeOf("ana"), 1);
  // The event may be faster than who made the offer.
  Place("task", "ana", "third", store::v1::Placement::OFFERED, 2);
  view_.NoteOffered("task", "ana", "third");
  Place("task", "ana", "third", store::v1::Placement::LAPSED, 1);
  EXPECT_THAT(Wanting(), ElementsAre("task"));
  EXPECT_EQ(FreeOf("ana"), 1);
}

TEST_F(TaskViewTest, WhatIsNotTakenDoesNotKeepBackTheRest) {
  Submit("waiting", 1);
  Submit("next", 2);
  Submit("last", 3);
  EXPECT_THAT(Wanting(1), ElementsAre("waiting", "next"));
}

TEST_F(TaskViewTest, GoldIsLookedAtByItself) {
  Submit("first", 1);
  Submit("second", 2);
  SubmitGold("gold", 3);
  SubmitGold("more", 4);
  EXPECT_THAT(Wanting(1), ElementsAre("gold", "first")) << "neither keeps back the other";
  EXPECT_THAT(Wanting(), ElementsAre("gold", "more", "first", "second"));
  EXPECT_EQ(view_.LoadOf(store::kProject).gold, 2);
  EXPECT_EQ(view_.LoadOf(store::kProject).tasks, 4);
}

TEST_F(TaskViewTest, TellsWhoHasGoldInHand) {
  const auto gold_of_ana = [&] {
    for (const ContractorChange& change : view_.TakeChanged(kLater - 1)) {
      if (change.contractor == "ana") return change.gold_open;
    }
    return -1;
  };
  SubmitGold("gold", 1);
  Submit("task", 2);
  Online("ana", 3);
  EXPECT_EQ(gold_of_ana(), 0);
  view_.NoteOffered("gold", "ana", "first");
  view_.NoteOffered("task", "ana", "second");
  EXPECT_EQ(gold_of_ana(), 1) << "ahead of its event";
  Place("gold", "ana", "first", store::v1::Placement::OFFERED, 1);
  EXPECT_EQ(gold_of_ana(), 1);
  Place("gold", "ana", "first", store::v1::Placement::DECLINED, 0);
  EXPECT_EQ(gold_of_ana(), 0);
}

TEST_F(TaskViewTest, KnowsWhatAProjectHasUnderWay) {
  const auto load = [&] {
    const ProjectLoad now = view_.LoadOf(store::kProject);
    return std::vector<int64_t>{now.tasks, now.answers, now.held};
  };
  Submit("a", 1);
  Submit("b", 2);
  EXPECT_THAT(load(), ElementsAre(2, 0, 0));
  EXPECT_FALSE(view_.HasSeen("a", "ana", "first"));
  Place("a", "ana", "first", store::v1::Placement::OFFERED, 1);
  EXPECT_TRUE(view_.HasSeen("a", "ana", "first"));
  EXPECT_FALSE(view_.HasSeen("a", "ana", "second"));
  EXPECT_THAT(load(), ElementsAre(2, 0, 1));
  Place("a", "ana", "first", store::v1::Placement::OVERDUE, 0);
  EXPECT_THAT(load(), ElementsAre(2, 0, 1)) << "he may still come with it";
  Place("a", "ben", "other", store::v1::Placement::OFFERED, 1);
  EXPECT_THAT(load(), ElementsAre(2, 0, 2)) << "there are two places";
  Place("a", "eva", "third", store::v1::Placement::OFFERED, 2);
  EXPECT_THAT(load(), ElementsAre(2, 0, 2)) << "she has been offered his place";
  Place("a", "ana", "first", store::v1::Placement::WITHDRAWN, 2);
  Place("a", "ben", "other", store::v1::Placement::DECLINED, 1);
  Place("a", "eva", "third", store::v1::Placement::DECLINED, 0);
  EXPECT_THAT(load(), ElementsAre(2, 0, 0)) << "he has lost it for good";
  store::v1::Event event = Next("a");
  event.set_have(1);
  event.mutable_annotated()->set_contractor("ana");
  view_.Apply(event, 0);
  EXPECT_THAT(load(), ElementsAre(2, 1, 0));
  event = Next("a");
  event.mutable_completed()->set_task("a");
  view_.Apply(event, 0);
  EXPECT_THAT(load(), ElementsAre(1, 0, 0));
  EXPECT_TRUE(view_.HasSeen("a", "ana", "second")) << "it has ended";
}

TEST_F(TaskViewTest, WhatWasAcceptedWhenItsTaskEndedIsHeldUntilItsWindowHasPassed) {
  const auto held = [&] { return view_.LoadOf(store::kProject).held; };
  for (const char* task : {"finished", "given-up"}) {
    Submit(task, 1);
    store::v1::Event event = Next(task);
    event.set_open(1);
    event.mutable_placement()->set_contractor("ana");
    event.mutable_placement()->set_assignment(absl::StrCat("of-", task));
    event.mutable_placement()->set_state(store::v1::Placement::ACCEPTED);
    event.mutable_placement()->set_deadline_ms(600'000);
    view_.Apply(event, 0);
    Place(task, "ben", "offer", store::v1::Placement::OFFERED, 2);
    event = Next(task);
    event.set_time_ms(500'000);
    event.mutable_completed()->set_task(task);
    view_.Apply(event, 0);
  }
  EXPECT_EQ(held(), 2) << "an offer cannot be accepted any more";
  store::v1::Event event = Next("finished");
  event.mutable_orphaned()->set_assignment("of-finished");
  event.mutable_orphaned()->set_surplus(true);
  view_.Apply(event, 0);
  EXPECT_EQ(held(), 1) << "paid";
  view_.TakeChanged(600'000);
  EXPECT_EQ(held(), 1) << "its event may be on its way";
  view_.TakeChanged(700'000);
  EXPECT_EQ(held(), 0);
}

TEST_F(TaskViewTest, WhatIsHeldOfEndedTasksIsReadAnewFromRedis) {
  auto* redis = static_cast<store::RedisBackend*>(backend_);
  store::TaskStore& tasks = backend_->store();
  ASSERT_OK(tasks.PutProject(store::MakeProject(), 0));
  for (const char* id : {"ended", "open"}) {
    ASSERT_OK(tasks.Submit(store::kProject, id, "h", {store::MakeTask(id, backend_->NowMs(), 1)}));
    ASSERT_TRUE((*tasks.Offer("s0", {{{store::kProject, id},
                                      "ana",
                                      absl::StrCat("as-", id),
                                      "t",
                                      absl::Seconds(60),
                                      absl::Minutes(10)}}))[0]);
    ASSERT_OK(tasks.Accept({store::kProject, id}, "ana", "t"));
  }
  ASSERT_OK(tasks.End({store::kProject, "ended"}, v1::Task::CANCELLED, "why"));
  ASSERT_OK(view_.LoadShard(redis->pool(), "s0"));
  EXPECT_EQ(view_.LoadOf(store::kProject).held, 2);
  ASSERT_OK(tasks.Annotate({store::kProject, "ended"}, "ana", "t",
                           store::MakeAnnotation("ended", "ana", "t")));
  ASSERT_OK(view_.LoadShard(redis->pool(), "s0"));
  EXPECT_EQ(view_.LoadOf(store::kProject).held, 1) << "finished";
}

TEST_F(TaskViewTest, AnEndedTaskLeavesNothingBehind) {
  Submit("a", 1'000);
  Prelabel("a", 0.5);
  Prelabel("a", 0.7);
  store::v1::Event event = Next("a");
  event.mutable_completed()->set_task("a");
  view_.Apply(event, 0);
  EXPECT_THAT(Wanting(), ElementsAre());
  EXPECT_THAT(view_.Projects(), ElementsAre());
}

}  // namespace
}  // namespace fairlead::dispatch
