// How contractors stand with tests, as the events tell it.
#include "scheduler/quality/qualification_book.h"

#include "gtest/gtest.h"
#include "scheduler/quality/score_book.h"

namespace fairlead::quality {
namespace {

class QualificationBookTest : public ::testing::Test {
 protected:
  void Apply(const store::v1::Event& event) {
    registry_.Apply(event, 0);
    book_.Apply(event, 0);
    scores_.Apply(event, 0);
  }
  void PutProject(const std::string& project, const std::string& tests_skill) {
    store::v1::Event event;
    store::v1::ProjectRecord& record = *event.mutable_project_put();
    record.set_project(project);
    record.mutable_settings()->mutable_answer_schema()->set_kind(v1::TASK_KIND_CLASS);
    for (const char* name : {"a", "b"}) {
      record.mutable_settings()->mutable_answer_schema()->add_classes(name);
    }
    if (!tests_skill.empty()) {
      v1::QualificationTest& test = *record.mutable_settings()->mutable_qualification();
      test.set_skill(tests_skill);
      test.set_questions(2);
    }
    Apply(event);
  }
  // Gold tasks whose answer is "a".
  void AddGold(const std::string& project, const std::vector<std::string>& tasks) {
    store::v1::Event event;
    event.set_project(project);
    for (const std::string& task : tasks) {
      store::v1::TaskRecord& record = *event.mutable_tasks_submitted()->add_tasks();
      record.set_task(task);
      record.mutable_gold()->set_class_name("a");
    }
    Apply(event);
  }
  void Answer(const std::string& project, const std::string& task, const std::string& contractor,
              const std::string& answer) {
    store::v1::Event event;
    event.set_project(project);
    event.set_key(task);
    event.set_time_ms(now_ms_);
    event.mutable_annotated()->set_contractor(contractor);
    event.mutable_annotated()->mutable_answer()->set_class_name(answer);
    Apply(event);
  }

  void Retract(const std::string& project, const std::string& task) {
    store::v1::Event event;
    event.set_project(project);
    event.set_key(task);
    event.mutable_gold_retracted()->set_retracted("b is right");
    Apply(event);
  }

  int64_t now_ms_ = 1'800'000'000'000;
  store::RegistryView registry_;
  QualificationBook book_;
  ScoreBook scores_{&registry_, &book_};
};

TEST_F(QualificationBookTest, OnlyTheTenantWhoTestsASkillAsksForProof) {
  EXPECT_FALSE(book_.has_tests());
  PutProject("acme/work", "");
  EXPECT_FALSE(book_.IsTested("acme", "latin"));
  PutProject("acme/latin-test", "latin");
  EXPECT_TRUE(book_.has_tests());
  EXPECT_TRUE(book_.IsTested("acme", "latin"));
  EXPECT_FALSE(book_.IsTested("acme", "greek"));
  EXPECT_FALSE(book_.IsTested("acm", "latin"));
  EXPECT_TRUE(book_.IsTest("acme/latin-test"));
  EXPECT_FALSE(book_.IsTest("acme/work"));
  EXPECT_EQ(book_.AskableFrom("ana", "acme/latin-test"), 0);
  EXPECT_EQ(book_.AskableFrom("ana", "acme/work"), kNever);
}

TEST_F(QualificationBookTest, AnswersAreJudgedAsTheyCome) {
  PutProject("acme/latin-test", "latin");
  PutProject("acme/work", "");
  AddGold("acme/latin-test", {"q1", "q2", "q3"});
  AddGold("acme/work", {"g1"});
  Answer("acme/latin-test", "q1", "ana", "a");
  Answer("acme/work", "g1", "ana", "b");
  Answer("acme/latin-test", "q3", "ben", "b");
  ASSERT_EQ(book_.Of("ana").size(), 1u);
  EXPECT_EQ(StateOf(book_.Of("ana")[0].takes[0]), v1::Qualification::UNDER_WAY);
  Answer("acme/latin-test", "q2", "ana", "a");
  Answer("acme/latin-test", "q2", "ben", "a");
  const TestStanding ana = book_.Of("ana")[0];
  EXPECT_EQ(ana.project, "acme/latin-test");
  EXPECT_EQ(ana.skill, "latin");
  EXPECT_TRUE(HasPassed(ana.takes));
  EXPECT_FALSE(HasPassed(book_.Of("ben")[0].takes));
  EXPECT_EQ(book_.AskableFrom("ben", "acme/latin-test"), now_ms_ + 7LL * 86'400'000);
  EXPECT_TRUE(book_.Of("eva").empty());
}

TEST_F(QualificationBookTest, AQuestionIsEvidenceOnceAndAtOnce) {
  PutProject("acme/latin-test", "latin");
  AddGold("acme/latin-test", {"q1"});
  Answer("acme/latin-test", "q1", "ana", "a");
  EXPECT_EQ(scores_.Score("ana", v1::TASK_KIND_CLASS).gold_seen, 1);
  EXPECT_EQ(scores_.Score("ana", v1::TASK_KIND_CLASS).right, 1);
  store::v1::Event completed;
  completed.set_project("acme/latin-test");
  completed.set_key("q1");
  completed.set_time_ms(now_ms_);
  store::v1::Evidence& evidence = *completed.mutable_completed()->add_evidence();
  evidence.set_contractor("ana");
  evidence.set_right(1);
  evidence.set_weight(1);
  evidence.set_gold(true);
  Apply(completed);
  EXPECT_EQ(scores_.Score("ana", v1::TASK_KIND_CLASS).gold_seen, 1);
}

TEST_F(QualificationBookTest, AnswersToGoldAreCountedAsTheyComeWhateverTheyAreJudged) {
  PutProject("acme/work", "");
  AddGold("acme/work", {"g1", "g2"});
  Answer("acme/work", "g1", "ana", "a");
  Answer("acme/work", "w1", "ana", "a");
  const ContractorScore score = scores_.Score("ana", v1::TASK_KIND_CLASS);
  EXPECT_EQ(score.annotations, 2);
  EXPECT_EQ(score.gold_answers, 1);
  EXPECT_EQ(score.gold_seen, 0) << "nothing is complete";
  store::v1::Event ended;
  ended.set_project("acme/work");
  ended.set_key("g2");
  ended.mutable_ended();
  Apply(ended);
  Answer("acme/work", "g2", "ana", "a");
  EXPECT_EQ(scores_.Score("ana", v1::TASK_KIND_CLASS).gold_answers, 1);
}

TEST_F(QualificationBookTest, ARetractedQuestionIsNoneAndNoEvidence) {
  PutProject("acme/latin-test", "latin");
  PutProject("acme/work", "");
  AddGold("acme/latin-test", {"q1", "q2", "q3"});
  Answer("acme/latin-test", "q1", "ana", "a");
  Answer("acme/latin-test", "q2", "ana", "b");
  EXPECT_FALSE(HasPassed(book_.Of("ana")[0].takes));
  const double before = scores_.QualityMean("ana", v1::TASK_KIND_CLASS);
  for (int i = 0; i < 2; ++i) {
    Retract("acme/latin-test", "q2");
    EXPECT_TRUE(HasPassed(book_.Of("ana")[0].takes)) << "one of one";
    EXPECT_EQ(scores_.Score("ana", v1::TASK_KIND_CLASS).gold_seen, 1);
    EXPECT_EQ(scores_.Score("ana", v1::TASK_KIND_CLASS).wrong, 0);
    EXPECT_GT(scores_.QualityMean("ana", v1::TASK_KIND_CLASS), before);
  }
  Retract("acme/latin-test", "q1");
  EXPECT_TRUE(book_.Of("ana").empty()) << "nothing is left of his take";
  EXPECT_EQ(scores_.Score("ana", v1::TASK_KIND_CLASS).right, 0);
  Retract("acme/work", "unknown");
}

}  // namespace
}  // namespace fairlead::quality
