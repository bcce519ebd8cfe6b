// What a project's settings promise beyond its tasks' way: who settles doubt, who is asked beside.
#include <gmock/gmock.h>

#include "tests/e2e/project_rules_fixture.h"

namespace fairlead::e2e {
namespace {

using ::fairlead::testing::Eventually;

TEST_F(ProjectRulesTest, DoubtGoesToOneOfProvenQuality) {
  v1::CreateProjectRequest request = ClassProject("doubt");
  auto& redundancy = *request.mutable_settings()->mutable_redundancy();
  redundancy.set_max_answers(2);
  redundancy.set_gold_answers(1);
  redundancy.set_adjudicate_below(0.9);
  redundancy.set_adjudicator_quality(0.6);
  auto project = Create(request);
  ASSERT_OK(project) << project.status();
  Person expert = NewPerson("expert");
  Prove(expert, project->name());
  const std::string task = Submit(project->name(), 100, 101, "one").at(0);
  Person ana = NewPerson("ana"), ben = NewPerson("ben"), novice = NewPerson("novice");
  ana.Online(1);
  Work(ana, "a");
  ben.Online(1);
  Work(ben, "b");
  ASSERT_TRUE(
      Eventually(absl::Seconds(10), [&] { return Explain(task).task().wanted_answers() == 3; }));
  novice.Online(1);
  EXPECT_FALSE(novice.TryNextOffer().has_value());
  expert.Online(1);
  Work(expert, "b");
  v1::ExplainTaskResponse why;
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] {
    why = Explain(task);
    return why.task().has_label();
  }));
  EXPECT_TRUE(why.task().label().adjudicated());
  EXPECT_EQ(why.task().label().answer().class_name(), "b");
  ASSERT_EQ(why.decisions_size(), 3);
  EXPECT_FALSE(why.decisions(1).adjudication());
  EXPECT_TRUE(why.decisions(2).adjudication());
  ASSERT_EQ(why.decisions(2).candidates_size(), 2) << why.decisions(2).DebugString();
  EXPECT_EQ(why.decisions(2).candidates(1).contractor(), "novice");
  EXPECT_EQ(why.decisions(2).candidates(1).excluded_by(), "quality_not_proven");
}

TEST_F(ProjectRulesTest, TheFirstToAcceptHasThePlaceThatSeveralWereOffered) {
  v1::CreateProjectRequest request = ClassProject("parallel");
  request.mutable_settings()->mutable_redundancy()->set_min_answers(1);
  request.mutable_settings()->mutable_redundancy()->set_max_answers(1);
  request.mutable_settings()->set_parallel_offers(2);
  auto project = Create(request);
  ASSERT_OK(project) << project.status();
  Person ana = NewPerson("ana"), ben = NewPerson("ben");
  ana.Online(1);
  ben.Online(1);
  const std::string task = Submit(project->name(), 0, 1, "one").at(0);
  const v1::Offer first = ana.NextOffer(), second = ben.NextOffer();
  ASSERT_OK(ben.Accept(second));
  EXPECT_EQ(ReasonOf(ana.Accept(first).status()), "LEASE_LOST");
  EXPECT_TRUE(Eventually(absl::Seconds(10), [&] { return !ana.TryNextOffer().has_value(); }));
  ASSERT_OK(ben.Submit(second, "a"));
  v1::ExplainTaskResponse why;
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] {
    why = Explain(task);
    return why.task().has_label();
  }));
  ASSERT_EQ(why.decisions_size(), 2);
  for (const v1::Decision& decision : why.decisions()) EXPECT_TRUE(decision.parallel());
  // What was taken from him was never opened: it cost him nothing, and he is free for the next.
  Submit(project->name(), 1, 2, "two");
  EXPECT_NE(ana.NextOffer().assignment(), first.assignment());
}

TEST_F(ProjectRulesTest, SlowWorkIsDuplicatedAndPaidAllTheSame) {
  v1::CreateProjectRequest request = ClassProject("slow");
  request.mutable_settings()->mutable_redundancy()->set_min_answers(1);
  request.mutable_settings()->mutable_redundancy()->set_max_answers(1);
  request.mutable_settings()->set_duplicate_stragglers(true);
  auto project = Create(request);
  ASSERT_OK(project) << project.status();
  Submit(project->name(), 0, 7, "seven");
  Person ana = NewPerson("ana"), ben = NewPerson("ben");
  ana.Online(1);
  for (int i = 0; i < 6; ++i) Work(ana, "a");
  const v1::Offer slow = ana.NextOffer();
  ASSERT_OK(ana.Accept(slow));
  ben.Online(1);
  Work(ben, "a");
  v1::ExplainTaskResponse why;
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] {
    why = Explain(TaskOf(slow));
    return why.task().has_label();
  })) << why.DebugString();
  ASSERT_EQ(why.decisions_size(), 2);
  EXPECT_FALSE(why.decisions(0).duplicate());
  EXPECT_TRUE(why.decisions(1).duplicate());
  EXPECT_EQ(why.decisions(1).contractor(), "ben");
  const auto receipt = ana.Submit(slow, "b");
  ASSERT_OK(receipt) << receipt.status();
  EXPECT_TRUE(receipt->surplus());
  EXPECT_EQ(receipt->pay_micros(), 20'000);
  EXPECT_TRUE(Eventually(absl::Seconds(10), [&] {
    return Get(project->name()).forecast().paid_micros() == int64_t{8} * 20'000;
  }));
  EXPECT_EQ(Get(project->name()).counts().annotations(), 7);
}

v1::Answer Text(const std::string& text) {
  v1::Answer answer;
  answer.set_free_text(text);
  return answer;
}

v1::CreateProjectRequest ReviewedTexts(v1::CreateProjectRequest request) {
  request.mutable_settings()->mutable_answer_schema()->Clear();
  request.mutable_settings()->mutable_answer_schema()->set_kind(v1::TASK_KIND_FREE_TEXT);
  auto& redundancy = *request.mutable_settings()->mutable_redundancy();
  redundancy.set_min_answers(1);
  redundancy.set_max_answers(4);
  redundancy.set_adjudicator_quality(0.5);
  redundancy.set_gold_answers(2);
  request.mutable_settings()->set_review(true);
  return request;
}

// Both answer gold, which nobody reviews.
void ProveOnGold(cli::Client& client, const std::string& project, Person& one, Person& other) {
  v1::AddGoldRequest request;
  request.set_project(project);
  request.set_request_id("gold");
  for (int i = 0; i < 3; ++i) {
    auto& gold = *request.add_gold();
    gold.mutable_task()->mutable_payload()->mutable_free_text()->set_prompt("say snow");
    *gold.mutable_answer() = Text("snow");
  }
  ASSERT_OK(client.Call(client.tasks(), &v1::TaskService::Stub::AddGold, request));
  for (Person* person : {&one, &other}) {
    person->Online(1);
    for (int i = 0; i < 3; ++i) {
      const v1::Offer offer = person->NextOffer();
      const auto assignment = person->Accept(offer);
      ASSERT_OK(assignment) << assignment.status();
      EXPECT_FALSE(assignment->has_attempt());
      ASSERT_OK(person->SubmitAnswer(offer, Text("snow")));
    }
    person->Online(0);
  }
}

// Takes one offer and accepts it.
v1::Assignment Begin(Person& person, v1::Offer& offer) {
  person.Online(1);
  offer = person.NextOffer();
  person.Online(0);
  auto assignment = person.Accept(offer);
  EXPECT_OK(assignment) << assignment.status();
  return assignment.ok() ? *assignment : v1::Assignment();
}

TEST_F(ProjectRulesTest, ATextIsTheLabelOnceAReviewerHasPassedIt) {
  auto project = Create(ReviewedTexts(ClassProject("texts")));
  ASSERT_OK(project) << project.status();
  Person ana = NewPerson("ana"), ben = NewPerson("ben"), eva = NewPerson("eva");
  Person rex = NewPerson("rex");
  ProveOnGold(client(), project->name(), ben, rex);
  v1::SubmitTasksRequest submit;
  submit.set_project(project->name());
  submit.set_request_id("one");
  submit.add_tasks()->mutable_payload()->mutable_free_text()->set_prompt("a line on rain");
  auto names = client().Call(client().tasks(), &v1::TaskService::Stub::SubmitTasks, submit);
  ASSERT_OK(names) << names.status();
  v1::Offer offer;
  v1::Answer review;
  EXPECT_FALSE(Begin(ana, offer).has_attempt());
  review.mutable_review()->set_verdict(v1::Answer::Review::ACCEPT);
  EXPECT_EQ(FieldOf(ana.SubmitAnswer(offer, review).status()), "answer");
  ASSERT_OK(ana.SubmitAnswer(offer, Text("it rains")));
  EXPECT_EQ(Begin(ben, offer).attempt().free_text(), "it rains");
  EXPECT_EQ(FieldOf(ben.SubmitAnswer(offer, Text("rain")).status()), "answer.review");
  review.mutable_review()->set_verdict(v1::Answer::Review::EDIT);
  review.mutable_review()->set_reason("a line, not a report");
  EXPECT_EQ(FieldOf(ben.SubmitAnswer(offer, review).status()), "answer.review.free_text");
  review.mutable_review()->set_verdict(v1::Answer::Review::REJECT);
  ASSERT_OK(ben.SubmitAnswer(offer, review));
  EXPECT_FALSE(Begin(eva, offer).has_attempt()) << "written anew";
  ASSERT_OK(eva.SubmitAnswer(offer, Text("rain on the roof")));
  EXPECT_EQ(Begin(rex, offer).attempt().free_text(), "rain on the roof");
  review.mutable_review()->set_verdict(v1::Answer::Review::EDIT);
  review.mutable_review()->set_free_text("Rain on the roof.");
  ASSERT_OK(rex.SubmitAnswer(offer, review));
  v1::ExplainTaskResponse why;
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] {
    why = Explain(names->names(0));
    return why.task().has_label();
  })) << why.DebugString();
  EXPECT_EQ(why.task().label().answer().free_text(), "Rain on the roof.");
  EXPECT_EQ(why.task().label().aggregation(), "review/1");
  EXPECT_EQ(why.task().annotations_size(), 4);
  const auto quality = [&](const std::string& name) {
    v1::GetScorecardsRequest request;
    request.set_contractor(absl::StrCat("contractors/", name));
    const auto got = op().Call(op().accounts(), &v1::AccountService::Stub::GetScorecards, request);
    return got.ok() && got->scorecards_size() == 1 ? got->scorecards(0).quality_mean() : 0;
  };
  EXPECT_TRUE(
      Eventually(absl::Seconds(10), [&] { return quality("ana") < 0.7 && quality("eva") > 0.76; }))
      << quality("ana") << " " << quality("eva");
}

TEST_F(ProjectRulesTest, AValuedTaskGoesToOneOfProvenQualityThoughAllAreSure) {
  v1::CreateProjectRequest request = ClassProject("valued");
  auto& redundancy = *request.mutable_settings()->mutable_redundancy();
  redundancy.set_gold_answers(1);
  redundancy.set_min_answers(1);
  redundancy.set_target_confidence(0.6);  // Which one answer reaches.
  redundancy.set_adjudicate_priority(0);
  redundancy.set_adjudicator_quality(0.6);
  auto project = Create(request);
  ASSERT_OK(project) << project.status();
  Person expert = NewPerson("expert");
  Prove(expert, project->name());
  const std::string task = Submit(project->name(), 100, 101, "one").at(0);
  Person ana = NewPerson("ana"), novice = NewPerson("novice");
  ana.Online(1);
  Work(ana, "a");
  ASSERT_TRUE(
      Eventually(absl::Seconds(10), [&] { return Explain(task).task().wanted_answers() == 2; }));
  novice.Online(1);
  EXPECT_FALSE(novice.TryNextOffer().has_value());
  expert.Online(1);
  Work(expert, "a");
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] { return Explain(task).task().has_label(); }));
  EXPECT_TRUE(Explain(task).task().label().adjudicated());
  EXPECT_EQ(Explain(task).task().label().answers(), 2);
}

TEST_F(ProjectRulesTest, OnceGoldHasToldEnoughItIsSpreadOverTheWorkOfEach) {
  constexpr int kFirst = 64, kOrdinary = 12;
  v1::CreateProjectRequest request = ClassProject("gold");
  auto& redundancy = *request.mutable_settings()->mutable_redundancy();
  redundancy.set_gold_answers(1);
  redundancy.set_min_answers(1);
  redundancy.set_max_answers(1);
  auto project = Create(request);
  ASSERT_OK(project) << project.status();
  AddGold(project->name(), kFirst);
  Person ana = NewPerson("ana");
  // Whether what was answered was gold.
  const auto answers_gold = [&](Person& person) {
    const v1::Offer offer = person.NextOffer();
    auto assignment = person.Accept(offer);
    EXPECT_OK(assignment) << assignment.status();
    if (!assignment.ok()) return false;
    const auto known = answers_.find(assignment->payload().class_item().text());
    v1::Answer answer;
    answer.set_class_name("a");
    EXPECT_OK(person.SubmitAnswer(offer, known != answers_.end() ? known->second : answer));
    return known != answers_.end();
  };
  ana.Online(1);
  for (int i = 0; i < kFirst; ++i) ASSERT_TRUE(answers_gold(ana));
  ana.Online(0);
  ASSERT_TRUE(Eventually(absl::Seconds(10),
                         [&] { return Get(project->name()).counts().completed() == kFirst; }));
  Submit(project->name(), 1'000, 1'000 + kOrdinary, "work");
  AddGold(project->name(), 3, kFirst);
  Person ben = NewPerson("ben");
  ben.Online(1);
  EXPECT_TRUE(answers_gold(ben)) << "nothing is known of him";
  EXPECT_FALSE(answers_gold(ben)) << "three in ten of his answers at most";
  ana.Online(1);
  for (int i = 2; i < kOrdinary; ++i) EXPECT_FALSE(answers_gold(ana)) << "she had her share";
  EXPECT_FALSE(answers_gold(ben));
  EXPECT_TRUE(answers_gold(ana)) << "there is nothing else";
}

TEST_F(ProjectRulesTest, SettingsOutOfRangeAreRefusedNamingTheField) {
  const auto refused = [&](const v1::CreateProjectRequest& request) {
    const auto created = Create(request);
    EXPECT_TRUE(absl::IsInvalidArgument(created.status())) << created.status();
    return FieldOf(created.status());
  };
  v1::CreateProjectRequest request = ClassProject("rules");
  for (const double below : {-1.0, 0.4, 0.96, 1.0}) {
    request.mutable_settings()->mutable_redundancy()->set_adjudicate_below(below);
    EXPECT_EQ(refused(request), "settings.redundancy.adjudicate_below") << below;
  }
  request.mutable_settings()->mutable_redundancy()->set_adjudicate_below(0.9);
  for (const double quality : {-1.0, 0.4, 1.0}) {
    request.mutable_settings()->mutable_redundancy()->set_adjudicator_quality(quality);
    EXPECT_EQ(refused(request), "settings.redundancy.adjudicator_quality") << quality;
  }
  request.mutable_settings()->mutable_redundancy()->set_adjudicator_quality(0);
  for (const int priority : {-1, 10}) {
    request.mutable_settings()->mutable_redundancy()->set_adjudicate_priority(priority);
    EXPECT_EQ(refused(request), "settings.redundancy.adjudicate_priority") << priority;
  }
  request.mutable_settings()->mutable_redundancy()->clear_adjudicate_priority();
  for (const int64_t budget : {int64_t{-1}, int64_t{1'000'000'000'000'001}}) {
    request.mutable_settings()->set_budget_micros(budget);
    EXPECT_EQ(refused(request), "settings.budget_micros") << budget;
  }
  request.mutable_settings()->set_budget_micros(0);
  for (const int offers : {-1, 5}) {
    request.mutable_settings()->set_parallel_offers(offers);
    EXPECT_EQ(refused(request), "settings.parallel_offers") << offers;
  }
  request.mutable_settings()->set_parallel_offers(4);
  request.mutable_settings()->set_review(true);
  EXPECT_EQ(refused(request), "settings.review");
  v1::CreateProjectRequest texts = request;
  texts.mutable_settings()->mutable_answer_schema()->Clear();
  texts.mutable_settings()->mutable_answer_schema()->set_kind(v1::TASK_KIND_FREE_TEXT);
  EXPECT_EQ(refused(texts), "settings.redundancy.min_answers");
  auto& answers = *texts.mutable_settings()->mutable_redundancy();
  answers.set_min_answers(1);
  answers.set_max_answers(3);
  EXPECT_EQ(refused(texts), "settings.redundancy.max_answers");
  answers.set_max_answers(4);
  EXPECT_EQ(refused(texts), "settings.redundancy.adjudicate_below");
  request.mutable_settings()->set_review(false);
  const auto created = Create(request);
  ASSERT_OK(created) << created.status();
  EXPECT_EQ(created->settings().redundancy().adjudicator_quality(), 0.8);
}

}  // namespace
}  // namespace fairlead::e2e
