#include "scheduler/quality/calibration_book.h"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "scheduler/quality/beta.h"
#include "scheduler/quality/redundancy.h"

namespace fairlead::quality {
namespace {

constexpr int kContractors = 60;

v1::AnswerSchema FourClasses() {
  v1::AnswerSchema schema;
  schema.set_kind(v1::TASK_KIND_CLASS);
  for (const char* name : {"a", "b", "c", "d"}) schema.add_classes(name);
  return schema;
}

v1::Answer ClassOf(const std::string& name) {
  v1::Answer answer;
  answer.set_class_name(name);
  return answer;
}

// A crowd that errs together: one task in four looks like something else, to everybody alike.
class Crowd {
 public:
  explicit Crowd(uint64_t seed) : state_(seed) {}

  void NextTask() { trap_ = NextUniform(state_) < 0.25; }
  Vote Ask() {
    const auto number = static_cast<int>(NextUniform(state_) * kContractors);
    const double skill = 0.80 + 0.18 * number / kContractors;
    const double quality = 0.75 * skill + 0.25 * 0.45;  // What gold shows of him on the whole.
    const double u = NextUniform(state_);
    const char* answer = trap_ ? (u < 0.45 ? "a" : "b")
                               : (u < skill ? "a" : (u < skill + (1 - skill) / 2 ? "c" : "d"));
    return {absl::StrCat("w", asked_++), ClassOf(answer), quality};  // "a" is the truth.
  }

 private:
  uint64_t state_;
  bool trap_ = false;
  int64_t asked_ = 0;
};

struct Outcome {
  double stated = 0, right = 0, answers = 0;  // Means; the first two of tasks that met the target.
  double met = 0;                             // Share of these.
};

Outcome Label(const batch::Calibration& calibration, uint64_t seed) {
  constexpr int kTasks = 8'000;
  const v1::AnswerSchema schema = FourClasses();
  const RedundancyLimits limits = {1, 5, 0.90};
  Crowd crowd(seed);
  Outcome outcome;
  int met = 0;
  for (int task = 0; task < kTasks; ++task) {
    crowd.NextTask();
    std::vector<Vote> votes;
    for (;;) {
      votes.push_back(crowd.Ask());
      const Consensus consensus = Aggregate(schema, votes, std::nullopt);
      const double stated = calibration(consensus.confidence);
      const auto answers = static_cast<int>(votes.size());
      if (DecideRedundancy(limits, answers, stated).verdict == Verdict::kMore) continue;
      outcome.answers += answers;
      if (stated >= limits.target) {
        ++met;
        outcome.stated += stated;
        outcome.right += consensus.answer.class_name() == "a";
      }
      break;
    }
  }
  outcome.answers /= kTasks;
  outcome.met = static_cast<double>(met) / kTasks;
  outcome.stated /= met;
  outcome.right /= met;
  return outcome;
}

std::vector<batch::StatedConfidence> Gold(int tasks, int answers, uint64_t seed) {
  Crowd crowd(seed);
  std::vector<batch::StatedConfidence> cases;
  for (int task = 0; task < tasks; ++task) {
    crowd.NextTask();
    std::vector<Vote> votes;
    for (int i = 0; i < answers; ++i) votes.push_back(crowd.Ask());
    for (const auto& one : GoldCases(FourClasses(), votes, std::nullopt, ClassOf("a"), 1)) {
      cases.push_back(one);
    }
  }
  return cases;
}

TEST(CalibrationTest, SharedErrorsAreOverstatedUntilGoldTells) {
  const Outcome raw = Label(batch::Calibration(), 11);
  double worst = 0, mean = 0;
  constexpr int kProjects = 10;
  for (uint64_t project = 0; project < kProjects; ++project) {
    const auto calibration = batch::Calibration::Fit(Gold(400, 5, 100 + project));
    const Outcome told = Label(calibration, 11 + project);
    std::printf("gold 400 x 5: stated %.3f right %.3f, %.2f answers, met %.2f (slope %.2f)\n",
                told.stated, told.right, told.answers, told.met, calibration.slope());
    worst = std::max(worst, std::abs(told.stated - told.right));
    mean += (told.stated - told.right) / kProjects;
  }
  std::printf("uncalibrated: stated %.3f right %.3f, %.2f answers, met %.2f\n", raw.stated,
              raw.right, raw.answers, raw.met);
  EXPECT_GT(raw.stated - raw.right, 0.04);
  EXPECT_LT(std::abs(mean), 0.015);
  EXPECT_LT(worst, 0.02);
}

TEST(CalibrationTest, AProjectWithLittleGoldIsLeftAlone) {
  EXPECT_TRUE(batch::Calibration::Fit(Gold(6, 3, 1)).identity());
}

TEST(CalibrationTest, GoldCasesFollowTheAnswers) {
  const std::vector<Vote> votes = {
      {"x", ClassOf("b"), 0.8}, {"y", ClassOf("a"), 0.8}, {"z", ClassOf("a"), 0.8}};
  const auto cases = GoldCases(FourClasses(), votes, std::nullopt, ClassOf("a"), 1);
  ASSERT_EQ(cases.size(), 3u);
  EXPECT_FALSE(cases[0].right);
  EXPECT_TRUE(cases[2].right);
  EXPECT_EQ(cases[2].confidence, Aggregate(FourClasses(), votes, std::nullopt).confidence);
  EXPECT_EQ(GoldCases(FourClasses(), votes, std::nullopt, ClassOf("a"), 3).size(), 1u);
  EXPECT_EQ(GoldCases(FourClasses(), votes, std::nullopt, ClassOf("a"), 9).size(), 1u);
  EXPECT_TRUE(GoldCases(FourClasses(), {}, std::nullopt, ClassOf("a"), 1).empty());
  v1::AnswerSchema text;
  text.set_kind(v1::TASK_KIND_FREE_TEXT);
  EXPECT_TRUE(GoldCases(text, votes, std::nullopt, ClassOf("a"), 1).empty());
}

class BookTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store::v1::Event event;
    event.set_slot("s0");
    event.mutable_project_put()->set_project("p");
    *event.mutable_project_put()->mutable_settings()->mutable_answer_schema() = FourClasses();
    Apply(event);
  }
  void Apply(const store::v1::Event& event) {
    registry_.Apply(event, 0);
    scores_.Apply(event, 0);
    book_.Apply(event, 0);
  }
  store::v1::Event About(const std::string& task) {
    store::v1::Event event;
    event.set_slot("s0");
    event.set_key(task);
    event.set_project("p");
    return event;
  }
  // A gold task whose truth is "a", answered by two contractors.
  void AnswerGold(int number, const std::string& answer, bool complete = true) {
    const std::string task = absl::StrCat("g", number);
    store::v1::Event submitted = About("");
    store::v1::TaskRecord* record = submitted.mutable_tasks_submitted()->add_tasks();
    record->set_task(task);
    record->set_project("p");
    *record->mutable_gold() = ClassOf("a");
    Apply(submitted);
    for (const char* contractor : {"x", "y"}) {
      store::v1::Event event = About(task);
      event.mutable_annotated()->set_contractor(contractor);
      *event.mutable_annotated()->mutable_answer() = ClassOf(answer);
      Apply(event);
    }
    store::v1::Event end = About(task);
    if (complete) {
      end.mutable_completed()->set_task(task);
    } else {
      end.mutable_ended();
    }
    Apply(end);
  }

  store::RegistryView registry_;
  QualificationBook tests_;
  ScoreBook scores_{&registry_, &tests_};
  CalibrationBook book_{&registry_, &scores_};
};

TEST_F(BookTest, BelievesLessWhereGoldWasMissed) {
  for (int i = 0; i < 19; ++i) AnswerGold(i, i % 2 == 0 ? "a" : "b");
  EXPECT_TRUE(book_.Of("p").identity()) << "nineteen gold tasks are not enough";
  AnswerGold(19, "b");
  EXPECT_FALSE(book_.Of("p").identity());
  EXPECT_LT(book_.Of("p")(0.95), 0.75);
  EXPECT_TRUE(book_.Of("other").identity());
}

TEST_F(BookTest, WhatWasNotCompletedOrIsNoGoldTellsNothing) {
  for (int i = 0; i < 60; ++i) AnswerGold(i, "b", /*complete=*/false);
  store::v1::Event event = About("ordinary");
  event.mutable_completed()->set_task("ordinary");
  for (int i = 0; i < 60; ++i) Apply(event);
  EXPECT_TRUE(book_.Of("p").identity());
}

TEST_F(BookTest, RetractedGoldTellsNothing) {
  for (int i = 0; i < 40; ++i) AnswerGold(i, i < 19 ? "b" : "a");
  const double doubted = book_.Of("p")(0.95);
  for (int i = 0; i < 19; ++i) {
    store::v1::Event event = About(absl::StrCat("g", i));
    event.mutable_gold_retracted()->set_retracted("b is right");
    Apply(event);
    Apply(event);
  }
  EXPECT_GT(book_.Of("p")(0.95), doubted + 0.1);
  store::v1::Event event = About("g39");
  event.mutable_gold_retracted()->set_retracted("b is right");
  Apply(event);
  Apply(About("g38"));
  EXPECT_FALSE(book_.Of("p").identity()) << "twenty are left";
  event = About("g38");
  event.mutable_gold_retracted()->set_retracted("b is right");
  Apply(event);
  EXPECT_TRUE(book_.Of("p").identity()) << "nineteen are not enough";
}

TEST_F(BookTest, TheFitFollowsTheGold) {
  for (int i = 0; i < 40; ++i) AnswerGold(i, i % 2 == 0 ? "b" : "a");
  const double doubted = book_.Of("p")(0.9);
  for (int i = 40; i < 1'000; ++i) AnswerGold(i, "a");
  EXPECT_LT(doubted, 0.75);
  EXPECT_GT(book_.Of("p")(0.9), 0.9);
}

}  // namespace
}  // namespace fairlead::quality
