// Who has a skill: those who pass its test, and nobody who only says so; and what becomes of skills
// and scores when gold was wrong.
#include <gmock/gmock.h>

#include <map>

#include "common/base/status.h"
#include "google/protobuf/util/time_util.h"
#include "tests/e2e/cluster_fixture.h"
#include "tests/e2e/person.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"

namespace fairlead::e2e {
namespace {

using ::fairlead::testing::Eventually;
using ::google::protobuf::util::TimeUtil;

constexpr int kQuestions = 4;

class QualificationTest : public ClusterTest {
 protected:
  void SetUp() override {
    ClusterTest::SetUp();
    StartCluster(0);
  }
  // One who says that he has the skills.
  Person Enrol(const std::string& name) {
    const std::string token = ContractorToken(name);
    Person(cluster().address(), token).Enrol({"latin", "greek"});
    return Person(cluster().address(), token);
  }
  std::string Create(const v1::CreateProjectRequest& request) {
    const auto project =
        client().Call(client().projects(), &v1::ProjectService::Stub::CreateProject, request);
    EXPECT_OK(project) << project.status();
    return project.ok() ? project->name() : "";
  }
  v1::CreateProjectRequest LatinTest() {
    v1::CreateProjectRequest request = ClassProject("latin-test");
    v1::QualificationTest& test = *request.mutable_settings()->mutable_qualification();
    test.set_skill("latin");
    test.set_questions(kQuestions);
    test.set_pass_mark(0.75);
    test.mutable_retake_after()->set_seconds(3);
    return request;
  }
  std::string CreateWork(const std::string& id, const std::string& skill) {
    v1::CreateProjectRequest request = ClassProject(id);
    request.mutable_settings()->add_required_skills(skill);
    request.mutable_settings()->mutable_redundancy()->set_min_answers(1);
    request.mutable_settings()->mutable_redundancy()->set_max_answers(1);
    return Create(request);
  }
  void AddGold(const std::string& project, int count) {
    v1::AddGoldRequest request;
    request.set_project(project);
    request.set_request_id("gold");
    for (int i = 0; i < count; ++i) {
      auto& gold = *request.add_gold();
      *gold.mutable_task() = ClassItems::Task(i);
      *gold.mutable_answer() = ClassItems::Answer(i);
      right_[gold.task().payload().class_item().text()] = ClassItems::Answer(i).class_name();
    }
    ASSERT_OK(client().Call(client().tasks(), &v1::TaskService::Stub::AddGold, request));
  }
  // Takes the next offer, which is of `project`, and answers it as the gold says, or not. Returns
  // the offer.
  v1::Offer Work(Person& person, const std::string& project, bool right) {
    const v1::Offer offer = person.NextOffer();
    EXPECT_EQ(offer.project(), project);
    const auto assignment = person.Accept(offer);
    EXPECT_OK(assignment) << assignment.status();
    if (!assignment.ok()) return offer;
    const auto known = right_.find(assignment->payload().class_item().text());
    const std::string truth = known == right_.end() ? "a" : known->second;
    EXPECT_OK(person.Submit(offer, right ? truth : truth == "a" ? "b" : "a"));
    return offer;
  }
  v1::GetScorecardsResponse Scorecards(const std::string& name) {
    v1::GetScorecardsRequest request;
    request.set_contractor("contractors/" + name);
    auto got = op().Call(op().accounts(), &v1::AccountService::Stub::GetScorecards, request,
                         absl::Seconds(30));
    EXPECT_OK(got) << got.status();
    if (!got.ok()) return v1::GetScorecardsResponse();
    // Pay is folded some time later.
    got->clear_balance_micros();
    got->clear_annotations();
    return *got;
  }
  v1::Qualification StandingOf(const std::string& name) {
    const v1::GetScorecardsResponse cards = Scorecards(name);
    return cards.qualifications_size() == 1 ? cards.qualifications(0) : v1::Qualification();
  }

  absl::StatusOr<v1::Task> Retract(const std::string& task, const std::string& reason) {
    v1::RetractGoldRequest request;
    request.set_name(task);
    request.set_reason(reason);
    return client().Call(client().tasks(), &v1::TaskService::Stub::RetractGold, request);
  }
  static std::string TaskOf(const v1::Offer& offer) {
    return offer.assignment().substr(0, offer.assignment().find("/assignments/"));
  }

  std::map<std::string, std::string> right_;  // By text.
};

TEST_F(QualificationTest, WhoPassesGetsTheWorkAndWhoFailsWaits) {
  const std::string test = Create(LatinTest());
  const std::string work = CreateWork("work", "latin");
  AddGold(test, 3 * kQuestions);
  Person ben = Enrol("ben");
  ben.Online(2);
  for (int i = 0; i < kQuestions; ++i) Work(ben, test, /*right=*/i < 2);
  const v1::Qualification failed = StandingOf("ben");
  EXPECT_EQ(failed.state(), v1::Qualification::FAILED) << failed.DebugString();
  EXPECT_EQ(failed.right(), 2);
  EXPECT_EQ(failed.answered(), kQuestions);
  EXPECT_EQ(failed.project(), test);
  EXPECT_FALSE(ben.TryNextOffer().has_value());

  const std::vector<std::string> tasks = Submit(work, 100, 104, "work");
  EXPECT_FALSE(ben.TryNextOffer().has_value()) << "his word is not taken for it";
  Person ana = Enrol("ana");
  ana.Online(1);
  for (int i = 0; i < kQuestions; ++i) Work(ana, test, /*right=*/i > 0);
  EXPECT_EQ(StandingOf("ana").state(), v1::Qualification::PASSED);
  EXPECT_EQ(Scorecards("ana").scorecards(0).gold_seen(), kQuestions);
  EXPECT_EQ(Scorecards("ana").scorecards(0).gold_right(), kQuestions - 1);
  const v1::Offer first = Work(ana, work, true);
  v1::ExplainDecisionRequest why;
  why.set_name(first.explanation());
  const auto decision = op().Call(op().accounts(), &v1::AccountService::Stub::ExplainDecision, why);
  ASSERT_OK(decision) << decision.status();
  ASSERT_EQ(decision->candidates_size(), 2) << decision->DebugString();
  EXPECT_EQ(decision->candidates(1).contractor(), "ben");
  EXPECT_EQ(decision->candidates(1).excluded_by(), "skill_not_proven");

  // Questions he has not seen, and not before it is time; then he passes as well.
  const v1::Offer again = Work(ben, test, true);
  EXPECT_GE(again.accept_before() - TimeUtil::SecondsToDuration(1), failed.retake_time());
  ana.Online(0);
  for (int i = 1; i < kQuestions; ++i) Work(ben, test, true);
  EXPECT_EQ(StandingOf("ben").take(), 2);
  EXPECT_EQ(StandingOf("ben").state(), v1::Qualification::PASSED);
  Work(ben, work, true);

  const v1::GetScorecardsResponse before = Scorecards("ben");
  ASSERT_OK(cluster().Kill(cli::kScheduler));
  EXPECT_TRUE(Eventually(absl::Seconds(30),
                         [&] {
                           const v1::GetScorecardsResponse after = Scorecards("ben");
                           return after.SerializeAsString() == before.SerializeAsString();
                         }))
      << "not what the log says: " << Scorecards("ben").DebugString();
}

TEST_F(QualificationTest, OneQuestionAtATimeAndSelfDeclaredSkillsElsewhere) {
  const std::string test = Create(LatinTest());
  const std::string greek = CreateWork("greek", "greek");
  AddGold(test, 2 * kQuestions);
  Submit(greek, 100, 101, "greek");
  Person eva = Enrol("eva");
  eva.Online(5);
  // The work of the tenant that nobody tests, and one question.
  std::map<std::string, int> offers;
  const auto look = [&] {
    offers.clear();
    for (const v1::Offer& offer : eva.Offers()) ++offers[offer.project()];
  };
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] {
    look();
    return offers[greek] == 1 && offers[test] > 0;
  }));
  for (int i = 0; i < 20; ++i) {
    look();
    EXPECT_LE(offers[test], 1);
  }
}

TEST_F(QualificationTest, AQuestionEndsWithItsLastAnswerAndIsNoEvidenceTwice) {
  v1::CreateProjectRequest request = LatinTest();
  request.mutable_settings()->mutable_redundancy()->set_gold_answers(2);
  const std::string test = Create(request);
  AddGold(test, kQuestions);
  Person ana = Enrol("ana"), ben = Enrol("ben"), eva = Enrol("eva");
  v1::Offer last;
  for (Person* person : {&ana, &ben}) {
    person->Online(1);
    for (int i = 0; i < kQuestions; ++i) last = Work(*person, test, /*right=*/true);
    person->Online(0);
  }
  v1::GetProjectRequest get;
  get.set_name(test);
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] {
    const auto got = client().Call(client().projects(), &v1::ProjectService::Stub::GetProject, get);
    return got.ok() && got->counts().completed() == kQuestions;
  }));
  eva.Online(1);
  EXPECT_FALSE(eva.TryNextOffer().has_value());
  EXPECT_EQ(Scorecards("ana").scorecards(0).gold_seen(), kQuestions);
  ASSERT_OK(Retract(TaskOf(last), "the answer was wrong"));
  for (const char* name : {"ana", "ben"}) {
    EXPECT_EQ(Scorecards(name).scorecards(0).gold_seen(), kQuestions - 1);
    EXPECT_EQ(StandingOf(name).state(), v1::Qualification::PASSED);
    EXPECT_EQ(StandingOf(name).answered(), kQuestions - 1);
  }
}

TEST_F(QualificationTest, ATestTakesGoldOnlyAndStaysATest) {
  v1::CreateProjectRequest request = LatinTest();
  const auto refused = [&] {
    return FieldOf(client()
                       .Call(client().projects(), &v1::ProjectService::Stub::CreateProject, request)
                       .status());
  };
  v1::ProjectSettings& settings = *request.mutable_settings();
  settings.mutable_qualification()->set_skill("Latin Script");
  EXPECT_EQ(refused(), "settings.qualification.skill");
  settings.mutable_qualification()->set_skill("latin");
  for (const int questions : {-1, 101}) {
    settings.mutable_qualification()->set_questions(questions);
    EXPECT_EQ(refused(), "settings.qualification.questions");
  }
  settings.mutable_qualification()->set_questions(0);
  for (const double mark : {-0.1, 1.1}) {
    settings.mutable_qualification()->set_pass_mark(mark);
    EXPECT_EQ(refused(), "settings.qualification.pass_mark");
  }
  settings.mutable_qualification()->set_pass_mark(0);
  settings.mutable_qualification()->mutable_retake_after()->set_seconds(366 * 86'400);
  EXPECT_EQ(refused(), "settings.qualification.retake_after");
  settings.mutable_qualification()->clear_retake_after();
  settings.mutable_qualification()->set_takes(11);
  EXPECT_EQ(refused(), "settings.qualification.takes");
  settings.mutable_qualification()->set_takes(0);
  settings.add_required_skills("latin");
  EXPECT_EQ(refused(), "settings.required_skills");
  settings.clear_required_skills();
  settings.mutable_redundancy()->set_gold_answers(2'001);
  EXPECT_EQ(refused(), "settings.redundancy.gold_answers");
  settings.mutable_redundancy()->set_gold_answers(0);
  const auto made =
      client().Call(client().projects(), &v1::ProjectService::Stub::CreateProject, request);
  ASSERT_OK(made) << made.status();
  EXPECT_EQ(made->settings().redundancy().gold_answers(), 1'000);
  EXPECT_EQ(made->settings().qualification().questions(), 10);
  EXPECT_EQ(made->settings().qualification().pass_mark(), 0.8);
  EXPECT_EQ(made->settings().qualification().takes(), 2);
  EXPECT_EQ(made->settings().qualification().retake_after().seconds(), 7 * 86'400);

  v1::SubmitTasksRequest submit;
  submit.set_project(made->name());
  submit.set_request_id("one");
  *submit.add_tasks() = ClassItems::Task(0);
  const auto submitted =
      client().Call(client().tasks(), &v1::TaskService::Stub::SubmitTasks, submit);
  EXPECT_EQ(ReasonOf(submitted.status()), "STATE_TEST_PROJECT") << submitted.status();
  v1::UpdateProjectRequest update;
  update.set_name(made->name());
  update.set_revision(made->revision());
  *update.mutable_settings() = made->settings();
  update.mutable_settings()->clear_qualification();
  update.mutable_settings()->mutable_redundancy()->set_gold_answers(3);
  const auto updated =
      client().Call(client().projects(), &v1::ProjectService::Stub::UpdateProject, update);
  EXPECT_EQ(ReasonOf(updated.status()), "STATE_TEST_IMMUTABLE") << updated.status();
}

TEST_F(QualificationTest, WrongGoldIsTakenOutOfTheScores) {
  v1::CreateProjectRequest request = ClassProject("work");
  request.mutable_settings()->mutable_redundancy()->set_gold_answers(1);
  const std::string project = Create(request);
  AddGold(project, 2);
  Person ana = Enrol("ana");
  ana.Online(1);
  const std::string good = TaskOf(Work(ana, project, /*right=*/true));
  const std::string wrong = TaskOf(Work(ana, project, /*right=*/false));
  ana.Online(0);
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] {
    const v1::GetScorecardsResponse cards = Scorecards("ana");
    return cards.scorecards_size() == 1 && cards.scorecards(0).gold_seen() == 2;
  }));
  EXPECT_EQ(Scorecards("ana").scorecards(0).gold_right(), 1);
  const double before = Scorecards("ana").scorecards(0).quality_mean();

  EXPECT_EQ(FieldOf(Retract(wrong, "").status()), "reason");
  const std::string ordinary = Submit(project, 100, 101, "one").at(0);
  EXPECT_EQ(ReasonOf(Retract(ordinary, "no gold").status()), "NOT_GOLD");
  for (int i = 0; i < 2; ++i) {
    const auto task = Retract(wrong, "the other one is right");
    ASSERT_OK(task) << task.status();
    EXPECT_EQ(task->state(), v1::Task::COMPLETED);
    EXPECT_EQ(task->label().retracted(), "the other one is right");
    EXPECT_EQ(task->annotations_size(), 1);
    EXPECT_EQ(Scorecards("ana").scorecards(0).gold_seen(), 1);
    EXPECT_EQ(Scorecards("ana").scorecards(0).gold_right(), 1);
    EXPECT_GT(Scorecards("ana").scorecards(0).quality_mean(), before);
  }
  v1::ExplainTaskRequest ask;
  ask.set_name(wrong);
  const auto why = client().Call(client().tasks(), &v1::TaskService::Stub::ExplainTask, ask);
  ASSERT_OK(why) << why.status();
  EXPECT_THAT(
      why->history(),
      ::testing::Contains(::testing::HasSubstr("gold retracted: the other one is right")).Times(1));
  ASSERT_OK(Retract(good, "neither is right"));
  const v1::GetScorecardsResponse after = Scorecards("ana");
  EXPECT_NEAR(after.scorecards(0).quality_mean(), 0.75, 1e-9) << "as one never judged";
  EXPECT_EQ(after.scorecards(0).gold_seen(), 0);
  EXPECT_EQ(after.scorecards(0).annotations(), 2) << "the work stays";

  ASSERT_OK(cluster().Kill(cli::kScheduler));
  EXPECT_TRUE(Eventually(absl::Seconds(30), [&] {
    return Scorecards("ana").SerializeAsString() == after.SerializeAsString();
  })) << Scorecards("ana").DebugString();
}

TEST_F(QualificationTest, ATakeIsDecidedAnewWhenItsQuestionsWereWrong) {
  const std::string test = Create(LatinTest());
  const std::string work = CreateWork("work", "latin");
  AddGold(test, kQuestions);
  Submit(work, 100, 101, "work");
  Person ben = Enrol("ben");
  ben.Online(1);
  std::vector<std::string> missed;
  for (int i = 0; i < kQuestions; ++i) {
    const v1::Offer offer = Work(ben, test, /*right=*/i >= 2);
    if (i < 2) missed.push_back(TaskOf(offer));
  }
  EXPECT_EQ(StandingOf("ben").state(), v1::Qualification::FAILED);
  for (const std::string& question : missed) {
    const auto task = Retract(question, "the answer was wrong");
    ASSERT_OK(task) << task.status();
    EXPECT_EQ(task->state(), v1::Task::CANCELLED) << "nobody else is asked";
  }
  const v1::Qualification passed = StandingOf("ben");
  EXPECT_EQ(passed.state(), v1::Qualification::PASSED) << passed.DebugString();
  EXPECT_EQ(passed.answered(), 2);
  EXPECT_EQ(Scorecards("ben").scorecards(0).gold_seen(), 2);
  Work(ben, work, true);
}

}  // namespace
}  // namespace fairlead::e2e
