// Whose a task's next place is.
#include "scheduler/dispatch/dispatcher.h"

#include "gtest/gtest.h"
#include "scheduler/quality/redundancy.h"

namespace fairlead::dispatch {
namespace {

constexpr int64_t kAnsweredMs = 1'800'000'000'000;

// With two answers, the last one given at kAnsweredMs.
LiveTask Answered() {
  LiveTask task;
  task.want = 3;
  task.have = 2;
  for (const char* name : {"ana", "ben"}) {
    store::v1::Placement& place = task.places[name];
    place.set_state(store::v1::Placement::SUBMITTED);
    place.set_deadline_ms(name[0] == 'b' ? kAnsweredMs : kAnsweredMs - 60'000);
  }
  // What others let lapse does not begin the wait anew.
  task.places["eva"].set_state(store::v1::Placement::LAPSED);
  task.places["eva"].set_deadline_ms(kAnsweredMs + 300'000);
  return task;
}

fairlead::v1::ProjectSettings Settings() {
  fairlead::v1::ProjectSettings settings;
  settings.mutable_redundancy()->set_max_answers(2);
  settings.mutable_redundancy()->set_adjudicate_below(0.8);
  settings.mutable_redundancy()->set_adjudicator_quality(0.7);
  return settings;
}

TEST(LeastQualityTest, ThePlaceAfterTheLastAnswerIsAnAdjudicatorsForTenMinutes) {
  EXPECT_EQ(LeastQualityOf(Answered(), Settings(), kAnsweredMs), 0.7);
  constexpr int64_t kOver = kAnsweredMs + quality::kAdjudicatorWaitMs;
  EXPECT_EQ(LeastQualityOf(Answered(), Settings(), kOver - 1), 0.7);
  EXPECT_EQ(LeastQualityOf(Answered(), Settings(), kOver), 0) << "anybody's, so that it ends";
}

TEST(LeastQualityTest, OtherPlacesAreAnybodys) {
  LiveTask first = Answered();
  first.have = 1;
  EXPECT_EQ(LeastQualityOf(first, Settings(), kAnsweredMs), 0);
  LiveTask gold = Answered();
  gold.gold = true;
  EXPECT_EQ(LeastQualityOf(gold, Settings(), kAnsweredMs), 0);
  LiveTask check = Answered();
  check.check = true;
  EXPECT_EQ(LeastQualityOf(check, Settings(), kAnsweredMs), 0) << "two who differ have a third";
  check.have = 3;
  EXPECT_EQ(LeastQualityOf(check, Settings(), kAnsweredMs), 0.7);
  EXPECT_EQ(LeastQualityOf(Answered(), fairlead::v1::ProjectSettings(), kAnsweredMs), 0);
}

TEST(LeastQualityTest, OfAValuedTaskEveryPlaceBeyondTheLeastIsAnAdjudicators) {
  fairlead::v1::ProjectSettings settings;
  settings.mutable_redundancy()->set_min_answers(2);
  settings.mutable_redundancy()->set_adjudicate_priority(0);
  settings.mutable_redundancy()->set_adjudicator_quality(0.7);
  LiveTask task = Answered();
  EXPECT_EQ(LeastQualityOf(task, settings, kAnsweredMs), 0.7);
  EXPECT_EQ(LeastQualityOf(task, settings, kAnsweredMs + quality::kAdjudicatorWaitMs), 0);
  task.have = 1;
  EXPECT_EQ(LeastQualityOf(task, settings, kAnsweredMs), 0);
  task = Answered();
  task.priority = 1;
  EXPECT_EQ(LeastQualityOf(task, settings, kAnsweredMs), 0) << "worth less";
}

TEST(IsGoldPacedTest, GoldGoesFirstUntilItHasToldEnoughOfTheProject) {
  fairlead::v1::ProjectSettings settings;
  const ProjectLoad mixed = {.tasks = 10, .gold = 4};
  EXPECT_FALSE(IsGoldPaced(settings, mixed, 63));
  EXPECT_TRUE(IsGoldPaced(settings, mixed, 64));
  EXPECT_FALSE(IsGoldPaced(settings, {.tasks = 4, .gold = 4}, 64)) << "nothing to spread it over";
  settings.mutable_model_loop()->set_train(true);
  EXPECT_FALSE(IsGoldPaced(settings, mixed, 64)) << "it proves the model";
  settings.clear_model_loop();
  settings.mutable_qualification()->set_skill("birds");
  EXPECT_FALSE(IsGoldPaced(settings, mixed, 64)) << "it is the test itself";
}

TEST(LeastQualityTest, AnAttemptIsReviewedByOneOfProvenQualityForTenMinutes) {
  fairlead::v1::ProjectSettings settings;
  settings.set_review(true);
  settings.mutable_redundancy()->set_max_answers(4);
  settings.mutable_redundancy()->set_adjudicator_quality(0.7);
  LiveTask task = Answered();
  EXPECT_EQ(LeastQualityOf(task, settings, kAnsweredMs), 0) << "the next is an attempt";
  task.turns.attempts = 1;
  EXPECT_EQ(LeastQualityOf(task, settings, kAnsweredMs), 0.7);
  EXPECT_EQ(LeastQualityOf(task, settings, kAnsweredMs + quality::kAdjudicatorWaitMs), 0);
  task.gold = true;
  EXPECT_EQ(LeastQualityOf(task, settings, kAnsweredMs), 0);
}

}  // namespace
}  // namespace fairlead::dispatch
