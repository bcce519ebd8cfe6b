// What a task's answers are made into.
#include "gtest/gtest.h"
#include "scheduler/collect/collector.h"
#include "scheduler/quality/redundancy.h"

namespace fairlead::collect {
namespace {

constexpr int64_t kStartMs = 1'800'000'000'000;

class LabelTest : public ::testing::Test {
 protected:
  LabelTest() {
    auto& settings = *project_.mutable_settings();
    settings.mutable_answer_schema()->set_kind(v1::TASK_KIND_CLASS);
    for (const char* name : {"a", "b"}) settings.mutable_answer_schema()->add_classes(name);
    settings.mutable_redundancy()->set_max_answers(2);
    settings.mutable_redundancy()->set_adjudicate_below(0.8);
  }
  // An answer that was asked for so long after the one before it.
  void Answer(const std::string& contractor, const std::string& name, int64_t asked_after_ms) {
    store::v1::AnnotationRecord& record = task_.annotations.emplace_back();
    record.set_contractor(contractor);
    record.mutable_answer()->set_class_name(name);
    record.set_offered_ms(now_ms_ + asked_after_ms);
    now_ms_ += asked_after_ms + 5'000;
    record.set_accept_ms(now_ms_);
  }
  store::v1::LabelRecord Label() const {
    return LabelOf(project_, task_, scores_, quality::batch::Calibration());
  }

  store::v1::ProjectRecord project_;
  store::TaskState task_;
  store::RegistryView registry_;
  quality::QualificationBook tests_;
  quality::ScoreBook scores_{&registry_, &tests_};
  int64_t now_ms_ = kStartMs;
};

TEST_F(LabelTest, SaysThatItWasAdjudicated) {
  Answer("ana", "a", 0);
  Answer("ben", "b", 20);
  EXPECT_FALSE(Label().adjudicated());
  Answer("eva", "b", 300'000);
  EXPECT_TRUE(Label().adjudicated());
  EXPECT_EQ(Label().answer().class_name(), "b");
  EXPECT_EQ(Label().answers(), 3);
}

TEST_F(LabelTest, DoesNotSaySoOfAnAnswerThatAnybodyMightGive) {
  Answer("ana", "a", 0);
  Answer("ben", "b", 20);
  Answer("eva", "b", quality::kAdjudicatorWaitMs);
  EXPECT_FALSE(Label().adjudicated());
}

TEST_F(LabelTest, CountsTheAnswersOfAChecksOwnLimits) {
  task_.record.set_checks("doubted");
  Answer("ana", "a", 0);
  Answer("ben", "b", 20);
  Answer("eva", "b", 20);
  EXPECT_FALSE(Label().adjudicated()) << "the third is the one that parts two who differ";
  Answer("kim", "b", 20);
  EXPECT_TRUE(Label().adjudicated());
}

TEST_F(LabelTest, AValuedTasksAnswersBeyondTheLeastAreAnAdjudicators) {
  project_.mutable_settings()->mutable_redundancy()->set_adjudicate_priority(2);
  task_.record.set_priority(2);
  Answer("ana", "a", 0);
  EXPECT_FALSE(Label().adjudicated());
  Answer("ben", "a", 20);
  EXPECT_TRUE(Label().adjudicated());
  task_.record.set_priority(3);
  EXPECT_FALSE(Label().adjudicated());
}

TEST_F(LabelTest, GoldHasNoAdjudicator) {
  task_.record.mutable_gold()->set_class_name("a");
  for (const char* name : {"ana", "ben", "eva"}) Answer(name, "b", 20);
  EXPECT_FALSE(Label().adjudicated());
}

}  // namespace
}  // namespace fairlead::collect
