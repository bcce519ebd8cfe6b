// What a project may cost: its budget is spent to the answer, and never exceeded.
#include <gmock/gmock.h>

#include "tests/e2e/project_rules_fixture.h"

namespace fairlead::e2e {
namespace {

using ::fairlead::testing::Eventually;

using BudgetTest = ProjectRulesTest;

TEST_F(BudgetTest, NothingIsOfferedThatTheBudgetDoesNotPay) {
  v1::CreateProjectRequest request = ClassProject("budget");
  request.mutable_settings()->mutable_redundancy()->set_min_answers(1);
  request.mutable_settings()->mutable_redundancy()->set_max_answers(1);
  request.mutable_settings()->set_budget_micros(50'000);  // Two answers and a half.
  auto project = Create(request);
  ASSERT_OK(project) << project.status();
  const auto get = [&] { return Get(project->name()); };
  const std::vector<std::string> tasks = Submit(project->name(), 0, 3, "three");
  EXPECT_EQ(get().forecast().answers_to_go(), 3);
  EXPECT_EQ(get().forecast().to_go_micros(), 60'000);
  EXPECT_FALSE(get().forecast().budget_spent());
  Person ana = NewPerson("ana");
  ana.Online(3);
  Work(ana, "a");
  Work(ana, "a");
  EXPECT_FALSE(ana.TryNextOffer().has_value());
  v1::Project spent;
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] {
    spent = get();
    return spent.counts().completed() == 2 && spent.forecast().answers_to_go() == 1;
  })) << spent.DebugString();
  EXPECT_TRUE(spent.forecast().budget_spent());
  EXPECT_EQ(spent.forecast().paid_micros(), 40'000);
  EXPECT_EQ(spent.forecast().answers_per_task(), 1);
  EXPECT_EQ(spent.forecast().to_go_micros(), 20'000);
  for (const std::string& task : tasks) {
    const v1::ExplainTaskResponse why = Explain(task);
    ASSERT_GT(why.history_size(), 0);
    const std::string& last = why.history(why.history_size() - 1);
    if (why.task().state() == v1::Task::COMPLETED) {
      EXPECT_THAT(last, ::testing::HasSubstr("completed with confidence"));
    } else {
      EXPECT_THAT(last, ::testing::HasSubstr("settings.budget_micros = 50000"));
    }
  }
  v1::UpdateProjectRequest raise;
  raise.set_name(project->name());
  raise.set_revision(spent.revision());
  *raise.mutable_settings() = spent.settings();
  raise.mutable_settings()->set_budget_micros(60'000);
  ASSERT_OK(client().Call(client().projects(), &v1::ProjectService::Stub::UpdateProject, raise));
  Work(ana, "a");
  EXPECT_TRUE(Eventually(absl::Seconds(10), [&] { return get().counts().completed() == 3; }));
}

TEST_F(BudgetTest, WorkAtACancelledTaskIsHeldAndPaidWithinTheBudget) {
  v1::CreateProjectRequest request = ClassProject("cancelled");
  request.mutable_settings()->mutable_redundancy()->set_min_answers(1);
  request.mutable_settings()->mutable_redundancy()->set_max_answers(1);
  request.mutable_settings()->set_budget_micros(40'000);  // Two answers.
  auto project = Create(request);
  ASSERT_OK(project) << project.status();
  const std::string cancelled = Submit(project->name(), 0, 1, "one").at(0);
  Person ana = NewPerson("ana"), ben = NewPerson("ben");
  ana.Online(1);
  const v1::Offer begun = ana.NextOffer();
  ASSERT_OK(ana.Accept(begun));
  v1::CancelTaskRequest cancel;
  cancel.set_name(cancelled);
  ASSERT_OK(client().Call(client().tasks(), &v1::TaskService::Stub::CancelTask, cancel));
  Submit(project->name(), 1, 3, "two");
  ben.Online(2);
  Work(ben, "a");
  EXPECT_FALSE(ben.TryNextOffer().has_value()) << "ana may yet come with hers";
  EXPECT_TRUE(Get(project->name()).forecast().budget_spent());
  const auto receipt = ana.Submit(begun, "a");
  ASSERT_OK(receipt);
  EXPECT_TRUE(receipt->surplus());
  EXPECT_FALSE(ben.TryNextOffer().has_value());
  EXPECT_TRUE(Eventually(absl::Seconds(10),
                         [&] { return Get(project->name()).forecast().paid_micros() == 40'000; }));
}

TEST_F(BudgetTest, AnOverduePlaceIsOfferedAgainForThePayThatIsHeldForIt) {
  v1::CreateProjectRequest request = ClassProject("overdue");
  request.mutable_settings()->mutable_redundancy()->set_min_answers(1);
  request.mutable_settings()->mutable_redundancy()->set_max_answers(1);
  request.mutable_settings()->set_budget_micros(20'000);  // One answer.
  auto project = Create(request);
  ASSERT_OK(project) << project.status();
  Submit(project->name(), 0, 2, "two");
  Person ana = NewPerson("ana"), ben = NewPerson("ben");
  ana.Online(1);
  const v1::Offer slow = ana.NextOffer();
  ASSERT_OK(ana.Accept(slow));
  ana.Online(0);
  ben.Online(2);
  const v1::Offer again = ben.NextOffer();  // Once her five seconds are over.
  EXPECT_EQ(TaskOf(again), TaskOf(slow));
  EXPECT_EQ(ReasonOf(ana.Submit(slow, "a").status()), "LEASE_LOST");
  ASSERT_OK(ben.Accept(again));
  ASSERT_OK(ben.Submit(again, "a"));
  EXPECT_FALSE(ben.TryNextOffer().has_value());
  EXPECT_TRUE(Eventually(absl::Seconds(10),
                         [&] { return Get(project->name()).forecast().paid_micros() == 20'000; }));
}

// Twenty contractors at once, and a scheduler that has to learn anew what was paid and is held.
TEST_F(BudgetTest, TheBudgetHoldsUnderLoadAndKills) {
  constexpr int64_t kAnswers = 151;
  v1::CreateProjectRequest request = ClassProject("loaded");
  request.mutable_settings()->set_budget_micros(kAnswers * 20'000 + 19'999);
  auto project = Create(request);
  ASSERT_OK(project) << project.status();
  cli::Truth truth;
  const auto simulator = StartContractors(&truth, 200);
  ASSERT_NE(simulator, nullptr);
  Submit(project->name(), 0, 200, "all");
  for (const int64_t killed_at : {50, 100}) {
    ASSERT_TRUE(Eventually(absl::Seconds(60), [&] {
      return Get(project->name()).counts().annotations() >= killed_at;
    }));
    ASSERT_OK(cluster().Kill(cli::kScheduler));
  }
  v1::Project now;
  EXPECT_TRUE(Eventually(absl::Seconds(60), [&] {
    now = Get(project->name());
    return now.counts().annotations() >= kAnswers;
  })) << now.DebugString();
  EXPECT_TRUE(simulator->Drain(absl::Seconds(20)));
  now = Get(project->name());
  EXPECT_EQ(now.counts().annotations(), kAnswers);
  EXPECT_EQ(now.forecast().paid_micros(), kAnswers * 20'000);
  EXPECT_TRUE(now.forecast().budget_spent());
}

}  // namespace
}  // namespace fairlead::e2e
