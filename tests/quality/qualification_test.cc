// When a contractor may take a test, and when he has passed it.
#include "scheduler/quality/qualification.h"

#include "gtest/gtest.h"

namespace fairlead::quality {
namespace {

constexpr int64_t kDayMs = 86'400'000;

TestRules FourQuestions() { return {4, 0.75, 2 * kDayMs, 2}; }

// Answers that say so ("+-" is a right one, then a wrong one), the first to question `first`.
void Give(const char* answers, uint32_t first, int64_t now_ms, Takes& takes) {
  for (const char* c = answers; *c != 0; ++c) {
    AddAnswer(FourQuestions(), {first++, *c == '+'}, now_ms, takes);
  }
}

TEST(QualificationTest, DefaultsAreThoseOfTheApi) {
  const TestRules rules = RulesOf(v1::QualificationTest());
  EXPECT_EQ(rules.questions, 10);
  EXPECT_EQ(rules.pass_mark, 0.8);
  EXPECT_EQ(rules.retake_after_ms, 7 * kDayMs);
  EXPECT_EQ(rules.takes, 2);
  v1::QualificationTest at_once;
  at_once.mutable_retake_after();
  EXPECT_EQ(RulesOf(at_once).retake_after_ms, 0) << "set to nothing is not unset";
}

TEST(QualificationTest, ATakeIsDecidedWithItsLastAnswer) {
  Takes takes;
  EXPECT_EQ(AskableFrom(takes, FourQuestions()), 0);
  EXPECT_EQ(DecidingTake(takes), nullptr);
  Give("++-", 0, 10, takes);
  EXPECT_EQ(StateOf(takes[0]), v1::Qualification::UNDER_WAY);
  EXPECT_EQ(AskableFrom(takes, FourQuestions()), 0);
  EXPECT_FALSE(HasPassed(takes));
  Give("+", 3, 11, takes);
  EXPECT_EQ(StateOf(takes[0]), v1::Qualification::PASSED) << "three of four are the mark";
  EXPECT_EQ(takes[0].decide_ms, 11);
  EXPECT_TRUE(HasPassed(takes));
  EXPECT_EQ(AskableFrom(takes, FourQuestions()), kNever);
  Give("----", 4, 12 * kDayMs, takes);
  EXPECT_EQ(takes.size(), 1u) << "what comes late counts in no take";
}

TEST(QualificationTest, AFailedTakeIsTakenAgainAfterAWhileAndNotForEver) {
  Takes takes;
  Give("++--", 0, 100, takes);
  EXPECT_EQ(StateOf(takes[0]), v1::Qualification::FAILED);
  EXPECT_EQ(AskableFrom(takes, FourQuestions()), 100 + 2 * kDayMs);
  Give("+", 4, 99 + 2 * kDayMs, takes);
  EXPECT_EQ(takes.size(), 1u) << "too early";
  Give("---+", 5, 100 + 2 * kDayMs, takes);
  ASSERT_EQ(takes.size(), 2u);
  EXPECT_EQ(DecidingTake(takes), &takes[1]);
  EXPECT_EQ(AskableFrom(takes, FourQuestions()), kNever) << "that were both takes";
  TestRules third = FourQuestions();
  third.takes = 3;
  EXPECT_EQ(AskableFrom(takes, third), 100 + 4 * kDayMs);
}

TEST(QualificationTest, MarksAreReachedExactly) {
  for (const int percent : {5, 10, 35, 55, 70, 95, 100}) {
    Takes takes;
    const TestRules rules = {20, percent / 100.0, 0, 1};
    for (int i = 0; i < 20; ++i) {
      AddAnswer(rules, {static_cast<uint32_t>(i), i < percent / 5}, 1, takes);
    }
    EXPECT_TRUE(HasPassed(takes)) << percent;
    takes[0].answers[0].right = false;
    EXPECT_FALSE(HasPassed(takes)) << percent;
  }
}

TEST(QualificationTest, ARetractedQuestionCountsNoLonger) {
  Takes under_way;
  Give("+-", 0, 1, under_way);
  RetractQuestion(1, under_way);
  Give("++", 2, 2, under_way);
  EXPECT_EQ(StateOf(under_way[0]), v1::Qualification::UNDER_WAY) << "one more is asked instead";
  Give("+", 4, 3, under_way);
  EXPECT_TRUE(HasPassed(under_way));

  Takes failed;
  Give("++--", 0, 1, failed);
  RetractQuestion(7, failed);
  EXPECT_FALSE(HasPassed(failed));
  RetractQuestion(2, failed);
  EXPECT_FALSE(HasPassed(failed)) << "two of three";
  RetractQuestion(3, failed);
  EXPECT_TRUE(HasPassed(failed)) << "two of two";
  EXPECT_EQ(failed[0].decide_ms, 1);

  Takes passed;
  Give("+++-", 0, 1, passed);
  RetractQuestion(0, passed);
  EXPECT_FALSE(HasPassed(passed)) << "two of three";
  EXPECT_EQ(AskableFrom(passed, FourQuestions()), 1 + 2 * kDayMs);
  for (const uint32_t question : {1, 2, 3}) RetractQuestion(question, passed);
  EXPECT_TRUE(passed.empty()) << "a take of nothing was none";
  EXPECT_EQ(AskableFrom(passed, FourQuestions()), 0);
}

}  // namespace
}  // namespace fairlead::quality
