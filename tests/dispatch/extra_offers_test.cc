// How many are asked beside the first, and when somebody is asked beside those who work.
#include "scheduler/dispatch/extra_offers.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>

namespace fairlead::dispatch {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ReadyTask Task(const std::string& id, int places, int parallel) {
  ReadyTask task;
  task.task = id;
  task.places = places;
  task.parallel = parallel;
  return task;
}

// Hands out names in turn, none twice for one task.
class ParallelOffersTest : public ::testing::Test {
 protected:
  std::vector<Choice> Match(absl::Span<const ReadyTask> tasks) {
    std::vector<Choice> choices;
    for (const ReadyTask& task : tasks) {
      for (int i = 0; i < task.places && !left_.empty(); ++i) {
        EXPECT_FALSE(task.excluded.contains(left_.front()));
        choices.push_back({task.task, left_.front(), {}});
        left_.erase(left_.begin());
      }
    }
    return choices;
  }
  std::vector<Choice> Choose(const std::vector<ReadyTask>& tasks) {
    std::vector<Choice> choices = Match(tasks);
    AddParallelOffers(
        tasks, [&](const std::string& who, const ReadyTask&) { return chances_.at(who); },
        [&](absl::Span<const ReadyTask> more) { return Match(more); }, choices);
    return choices;
  }
  static std::vector<std::string> Names(const std::vector<Choice>& choices) {
    std::vector<std::string> names;
    for (const Choice& choice : choices) names.push_back(choice.task + choice.contractor);
    return names;
  }

  std::vector<std::string> left_ = {"a", "b", "c", "d", "e", "f"};
  std::map<std::string, double> chances_ = {{"a", 0.7}, {"b", 0.7}, {"c", 0.7},
                                            {"d", 0.7}, {"e", 0.7}, {"f", 0.7}};
};

TEST_F(ParallelOffersTest, AsManyAreAskedAsMakeAnAcceptanceLikely) {
  const std::vector<Choice> choices = Choose({Task("t", 1, 4)});
  EXPECT_THAT(Names(choices), ElementsAre("ta", "tb", "tc")) << "1 - 0.3^3 = 0.973";
  EXPECT_EQ(choices[0].over, 0);
  EXPECT_EQ(choices[1].over, 1);
  EXPECT_EQ(choices[2].over, 2);
  for (const Choice& choice : choices) EXPECT_TRUE(choice.decision.parallel());
}

TEST_F(ParallelOffersTest, TheProjectSaysHowManyAtMost) {
  EXPECT_THAT(Names(Choose({Task("t", 1, 2)})), ElementsAre("ta", "tb"));
}

TEST_F(ParallelOffersTest, WhoIsSureToComeIsAskedAlone) {
  chances_["a"] = 0.96;
  const std::vector<Choice> choices = Choose({Task("t", 1, 4)});
  EXPECT_THAT(Names(choices), ElementsAre("ta"));
  EXPECT_FALSE(choices[0].decision.parallel());
}

TEST_F(ParallelOffersTest, AProjectThatDoesNotAskForItGetsNone) {
  const std::vector<Choice> choices = Choose({Task("t", 1, 1), Task("u", 1, 2)});
  EXPECT_THAT(Names(choices), ElementsAre("ta", "ub", "uc"));
  EXPECT_FALSE(choices[0].decision.parallel());
}

TEST_F(ParallelOffersTest, EachPlaceOfATaskIsCovered) {
  chances_["a"] = 0.99;
  const std::vector<Choice> choices = Choose({Task("t", 2, 3)});
  EXPECT_THAT(Names(choices), ElementsAre("ta", "tb", "tc", "td"));
  EXPECT_FALSE(choices[0].decision.parallel());
  EXPECT_TRUE(choices[1].decision.parallel());
  EXPECT_EQ(choices[3].over, 2);
}

TEST_F(ParallelOffersTest, WhereNobodyIsLeftTheFirstStandAlone) {
  left_ = {"a"};
  const std::vector<Choice> choices = Choose({Task("t", 1, 4)});
  EXPECT_THAT(Names(choices), ElementsAre("ta"));
  EXPECT_FALSE(choices[0].decision.parallel());
  left_.clear();
  EXPECT_THAT(Choose({Task("t", 1, 4)}), IsEmpty());
}

constexpr int64_t kStart = 1'800'000'000'000;

// One answer wanted; ana accepted at kStart, with ten minutes to work.
LiveTask Held() {
  LiveTask task;
  task.want = 1;
  task.open = 1;
  store::v1::Placement& place = task.places["ana"];
  place.set_state(store::v1::Placement::ACCEPTED);
  place.set_offered_ms(kStart - 5'000);
  place.set_accepted_ms(kStart);
  place.set_work_ms(600'000);
  return task;
}

bool Wants(const LiveTask& task, double slow_seconds, int64_t after_ms) {
  return WantsDuplicate(
      task, [&](const std::string&) { return slow_seconds; }, kStart + after_ms);
}

TEST(WantsDuplicateTest, WorkThatTakesTooLongIsDuplicatedOnce) {
  LiveTask task = Held();
  EXPECT_FALSE(Wants(task, 60, 59'999));
  EXPECT_TRUE(Wants(task, 60, 60'000));
  task.ahead["ben"] = "as-ben";
  EXPECT_FALSE(Wants(task, 60, 60'010)) << "asked, not seen yet";
  task.ahead.clear();
  task.open = 2;
  store::v1::Placement& ben = task.places["ben"];
  ben.set_state(store::v1::Placement::OFFERED);
  ben.set_offered_ms(kStart + 60'010);
  EXPECT_FALSE(Wants(task, 60, 61'000));
  ben.set_state(store::v1::Placement::LAPSED);
  task.open = 1;
  EXPECT_TRUE(Wants(task, 60, 130'000)) << "he did not come";
}

TEST(WantsDuplicateTest, AnUnknownPaceIsSlowAfterHalfOfTheWindow) {
  EXPECT_FALSE(Wants(Held(), INFINITY, 299'999));
  EXPECT_TRUE(Wants(Held(), INFINITY, 300'000));
  EXPECT_TRUE(Wants(Held(), 10'000, 600'000)) << "nobody is slower than his window";
}

TEST(WantsDuplicateTest, OnlyWhereNothingElseIsOnItsWay) {
  LiveTask free = Held();
  free.want = 2;
  EXPECT_FALSE(Wants(free, 60, 120'000)) << "a place is free in any case";
  LiveTask gold = Held();
  gold.gold = true;
  EXPECT_FALSE(Wants(gold, 60, 120'000));
  LiveTask offered = Held();
  offered.places["ana"].set_state(store::v1::Placement::OFFERED);
  EXPECT_FALSE(Wants(offered, 60, 120'000)) << "nobody works yet";
}

}  // namespace
}  // namespace fairlead::dispatch
