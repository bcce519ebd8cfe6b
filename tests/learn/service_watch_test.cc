#include "scheduler/learn/service_watch.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fairlead::learn {
namespace {

using ::testing::HasSubstr;

store::v1::Event Prelabelled(const std::string& task, const std::string& text, int version) {
  store::v1::Event event;
  event.set_project("t/p");
  event.set_key(task);
  event.mutable_prelabelled()->set_task(task);
  event.mutable_prelabelled()->mutable_answer()->set_text(text);
  event.mutable_prelabelled()->set_model_version(absl::StrCat("v", version));
  return event;
}

store::v1::Event Completed(const std::string& task, const std::string& text, int answers = 1) {
  store::v1::Event event;
  event.set_project("t/p");
  event.set_key(task);
  event.mutable_completed()->mutable_answer()->set_text(text);
  event.mutable_completed()->set_answers(answers);
  return event;
}

store::v1::Event Answered(const std::string& task, const std::string& text) {
  store::v1::Event event;
  event.set_project("t/p");
  event.set_key(task);
  event.mutable_annotated()->mutable_answer()->set_text(text);
  return event;
}

// A prelabel by v2 beside v1 in the shadow.
store::v1::Event PrelabelledBeside(const std::string& task, const std::string& champion,
                                   const std::string& shadow) {
  store::v1::Event event = Prelabelled(task, champion, 2);
  event.mutable_prelabelled()->mutable_shadow_answer()->set_text(shadow);
  event.mutable_prelabelled()->set_shadow_version("v1");
  return event;
}

store::v1::ModelRecord Model(int former_right, int former_served, int right, int served) {
  store::v1::ModelRecord model;
  for (int i = 1; i <= 2; ++i) model.add_versions()->set_version(absl::StrCat("v", i));
  model.mutable_versions(0)->set_served(former_served);
  model.mutable_versions(0)->set_served_right(former_right);
  model.mutable_versions(1)->set_served(served);
  model.mutable_versions(1)->set_served_right(right);
  model.set_champion("v2");
  model.set_previous("v1");
  return model;
}

TEST(ServiceWatchTest, APrelabelIsHeldAgainstTheLabelThatPeopleDecided) {
  ServiceWatch watch;
  watch.Apply(Prelabelled("a", "1.00", 1));
  watch.Apply(Prelabelled("a", "2.00", 2));  // The newer champion's counts.
  watch.Apply(Completed("a", "2.00"));
  watch.Apply(Prelabelled("b", "3.00", 2));
  watch.Apply(Completed("b", "3.50"));
  watch.Apply(Prelabelled("c", "4.00", 2));
  watch.Apply(Completed("c", "4.00", /*answers=*/0));  // Nobody looked.
  watch.Apply(Completed("d", "5.00"));                 // No prelabel.
  const Outcomes outcomes = watch.Of("t/p");
  ASSERT_EQ(outcomes.versions.size(), 1u);
  EXPECT_EQ(outcomes.versions.at("v2").served, 2);
  EXPECT_EQ(outcomes.versions.at("v2").right, 1);
  store::v1::ModelRecord model = Model(0, 0, 0, 0);
  EXPECT_TRUE(NoteOutcomes(outcomes, model));
  EXPECT_EQ(model.versions(1).served(), 2);
  EXPECT_EQ(model.versions(1).served_right(), 1);
  EXPECT_FALSE(NoteOutcomes(outcomes, model)) << "a new process reads the log again";
}

TEST(ServiceWatchTest, TheFirstAnswerTellsTheChampionFromItsShadow) {
  ServiceWatch watch;
  const auto first = [&](const std::string& task, const std::string& champion,
                         const std::string& shadow) {
    watch.Apply(PrelabelledBeside(task, champion, shadow));
    watch.Apply(Answered(task, "1"));
    watch.Apply(Answered(task, "2"));  // Only the first answer counts.
    watch.Apply(Completed(task, champion));
  };
  first("a", "1", "1");
  first("b", "1", "2");
  first("c", "2", "1");
  first("d", "2", "1");
  first("e", "2", "3");
  store::v1::ModelRecord model = Model(0, 0, 0, 0);
  ASSERT_TRUE(NoteOutcomes(watch.Of("t/p"), model));
  const store::v1::ShadowRecord& shadow = model.versions(1).shadow();
  EXPECT_EQ(shadow.version(), "v1");
  EXPECT_EQ(shadow.both(), 1);
  EXPECT_EQ(shadow.champion_only(), 1);
  EXPECT_EQ(shadow.shadow_only(), 2);
  EXPECT_EQ(shadow.neither(), 1);
}

TEST(ServiceWatchTest, AnswersWithAndWithoutTheSightOfThePrelabelAreCountedApart) {
  ServiceWatch watch;
  for (int i = 0; i < 6; ++i) {
    const std::string task = absl::StrCat("t", i);
    watch.Apply(Prelabelled(task, "1", 2));
    store::v1::Event answered = Answered(task, i == 0 || i == 5 ? "2" : "1");
    answered.mutable_annotated()->set_prelabel(i < 4 ? store::v1::AnnotationRecord::SHOWN
                                                     : store::v1::AnnotationRecord::BLIND);
    watch.Apply(answered);
    watch.Apply(Completed(task, "1"));
  }
  store::v1::ModelRecord model = Model(0, 0, 0, 0);
  ASSERT_TRUE(NoteOutcomes(watch.Of("t/p"), model));
  const store::v1::AnchoringRecord& anchoring = model.versions(1).anchoring();
  EXPECT_EQ(anchoring.shown(), 4);
  EXPECT_EQ(anchoring.shown_agreed(), 3);
  EXPECT_EQ(anchoring.blind(), 2);
  EXPECT_EQ(anchoring.blind_agreed(), 1);
}

TEST(ServiceWatchTest, TheTimeOfARisenErrorIsKeptForThisVersion) {
  ServiceWatch watch;
  for (int i = 0; i < 300; ++i) {
    const std::string task = absl::StrCat("t", i);
    watch.Apply(Prelabelled(task, "1", 1));
    store::v1::Event completed = Completed(task, i < 200 ? "1" : "2");
    completed.set_time_ms(1'000 + i);
    watch.Apply(completed);
    if (i == 199) {
      EXPECT_EQ(watch.Of("t/p").drift_ms, 0);
    }
  }
  EXPECT_GT(watch.Of("t/p").drift_ms, 1'200);
  watch.Apply(Prelabelled("next", "2", 2));
  watch.Apply(Completed("next", "2"));
  EXPECT_EQ(watch.Of("t/p").drift_ms, 0);
}

TEST(RollBackTest, AChampionThatServesWorseIsTakenBackWithTheNumbers) {
  store::v1::ModelRecord model = Model(190, 200, 35, 50);
  EXPECT_TRUE(RollBackIfWorse(model));
  EXPECT_EQ(model.champion(), "v1");
  EXPECT_EQ(model.previous(), "v2");
  EXPECT_THAT(model.versions(1).gate_decision(),
              HasSubstr("taken back: in service right on 35 of 50, v1 on 190 of 200"));
  EXPECT_FALSE(RollBackIfWorse(model)) << "the better one stays";
}

store::v1::ModelRecord Beside(int both, int champion_only, int shadow_only) {
  store::v1::ModelRecord model = Model(0, 0, both, both + champion_only + shadow_only);
  store::v1::ShadowRecord& shadow = *model.mutable_versions(1)->mutable_shadow();
  shadow.set_version("v1");
  shadow.set_both(both);
  shadow.set_champion_only(champion_only);
  shadow.set_shadow_only(shadow_only);
  return model;
}

TEST(RollBackTest, TheShadowShowsSmallHarmTaskByTask) {
  store::v1::ModelRecord model = Beside(180, 2, 18);  // 91 % and 99 % of the same 200 tasks.
  EXPECT_TRUE(IsWatched(model));
  EXPECT_TRUE(RollBackIfWorse(model));
  EXPECT_EQ(model.champion(), "v1");
  EXPECT_THAT(model.versions(1).gate_decision(), HasSubstr("its own on 2 and those of v1"));
  for (store::v1::ModelRecord fair :
       {Beside(180, 6, 14), Beside(40, 0, 9), Beside(0, 60, 60), Beside(100, 30, 2)}) {
    EXPECT_FALSE(RollBackIfWorse(fair)) << fair.ShortDebugString();
  }
  store::v1::ModelRecord other = Beside(180, 2, 18);
  other.mutable_versions(1)->mutable_shadow()->set_version("v0");
  EXPECT_FALSE(RollBackIfWorse(other)) << "in the shadow of another version";
  store::v1::ModelRecord settled = Beside(283, 0, 17);
  EXPECT_FALSE(IsWatched(settled));
  EXPECT_FALSE(RollBackIfWorse(settled));
}

TEST(RollBackTest, NoiseTooFewLabelsOrALongServiceTakeNothingBack) {
  for (store::v1::ModelRecord model :
       {Model(190, 200, 45, 50), Model(190, 200, 30, 49), Model(49, 49, 30, 60),
        Model(290, 300, 200, 300), Model(200, 200, 100, 100)}) {
    EXPECT_FALSE(RollBackIfWorse(model)) << model.ShortDebugString();
    EXPECT_EQ(model.champion(), "v2");
  }
  store::v1::ModelRecord first = Model(190, 200, 10, 50);
  first.clear_previous();
  EXPECT_FALSE(RollBackIfWorse(first));
}

}  // namespace
}  // namespace fairlead::learn
