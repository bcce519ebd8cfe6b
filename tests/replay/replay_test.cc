#include "scheduler/replay/replay.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "common/base/hash.h"
#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/cli/replay_files.h"

namespace fairlead::replay {
namespace {

using testing::HasSubstr;

// A crowd of unequal skill and pace; everybody answered six tasks in ten.
ReplaySet Crowd(uint32_t seed, int tasks, int contractors, int classes) {
  std::mt19937 rng(seed);
  const auto uniform = [&] { return std::uniform_real_distribution<>(0, 1)(rng); };
  ReplaySet set;
  set.tasks = tasks;
  set.contractors = contractors;
  set.classes = classes;
  for (int t = 0; t < tasks; ++t) set.truth.push_back(static_cast<int>(rng() % classes));
  for (int c = 0; c < contractors; ++c) {
    set.contractor_hash.push_back(StableHash64(std::to_string(c)));
    const double skill = 0.45 + 0.5 * c / contractors;
    const double pace = 5 + 60 * uniform();
    for (int t = 0; t < tasks; ++t) {
      if (uniform() > 0.6) continue;
      const int wrong = (set.truth[t] + 1 + static_cast<int>(rng() % (classes - 1))) % classes;
      set.answers.push_back({t, c, uniform() < skill ? set.truth[t] : wrong, pace});
    }
  }
  return set;
}

std::unique_ptr<dispatch::ChoicePolicy> Named(const std::string& name) {
  return *dispatch::MakeChoicePolicy(name, dispatch::DefaultPolicy());
}

ReplaySummary Play(const ReplaySet& set, const std::string& policy, const ReplayOptions& options,
                   int seeds) {
  std::vector<ReplayOutcome> outcomes;
  for (int seed = 1; seed <= seeds; ++seed) {
    const auto outcome = RunReplay(set, *Named(policy), options, static_cast<uint64_t>(seed));
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    if (outcome.ok()) outcomes.push_back(*outcome);
  }
  return Summarise(outcomes);
}

// Passes picks on and remembers them.
class Watched final : public dispatch::ChoicePolicy {
 public:
  explicit Watched(const std::string& name) : inner_(Named(name)) {}
  dispatch::Pick Choose(const dispatch::Pool& pool, absl::Span<const int32_t> online,
                        uint64_t seed) const override {
    EXPECT_LE(online.size(), 10u);
    const dispatch::Pick pick = inner_->Choose(pool, online, seed);
    picks.emplace_back(pick.contractor, pick.task);
    return pick;
  }
  mutable std::vector<std::pair<int32_t, int32_t>> picks;

 private:
  std::unique_ptr<dispatch::ChoicePolicy> inner_;
};

TEST(ReplayTest, EveryPolicyAsksOnlyForAnswersThatExistAndForEachOnce) {
  const ReplaySet set = Crowd(3, 40, 12, 3);
  std::set<std::pair<int32_t, int32_t>> given;
  for (const GivenAnswer& answer : set.answers) given.emplace(answer.contractor, answer.task);
  for (const std::string& name : dispatch::ChoicePolicyNames()) {
    SCOPED_TRACE(name);
    const Watched policy(name);
    const auto outcome = RunReplay(set, policy, {3, 0, 0}, 1);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_EQ(policy.picks.size(), 120u);
    EXPECT_EQ(std::set(policy.picks.begin(), policy.picks.end()).size(), 120u);
    for (const auto& pick : policy.picks) EXPECT_TRUE(given.contains(pick));
    EXPECT_DOUBLE_EQ(outcome->answers_per_task, 3);
    EXPECT_TRUE(outcome->accuracy > 0.4 && outcome->accuracy <= 1) << outcome->accuracy;
    EXPECT_TRUE(outcome->gini >= 0 && outcome->gini < 1);
  }
}

TEST(ReplayTest, SameSeedSamePicksOtherSeedOtherPicks) {
  const ReplaySet set = Crowd(4, 40, 12, 2);
  const Watched once("default"), again("default"), other("default");
  ASSERT_TRUE(RunReplay(set, once, {2, 0.2, 0.9}, 7).ok());
  ASSERT_TRUE(RunReplay(set, again, {2, 0.2, 0.9}, 7).ok());
  ASSERT_TRUE(RunReplay(set, other, {2, 0.2, 0.9}, 8).ok());
  EXPECT_EQ(once.picks, again.picks);
  EXPECT_NE(once.picks, other.picks);
}

TEST(ReplayTest, AsksNoMoreThanThereIs) {
  const ReplaySet set = Crowd(5, 20, 6, 2);
  const auto outcome = RunReplay(set, *Named("default"), {1e4, 0, 0}, 1);
  ASSERT_TRUE(outcome.ok());
  EXPECT_DOUBLE_EQ(outcome->answers_per_task, static_cast<double>(set.answers.size()) / set.tasks);
}

TEST(ReplayTest, TheDefaultIsMoreAccurateThanChanceAndFasterThanWithoutTime) {
  const ReplaySet set = Crowd(6, 150, 30, 4);
  const ReplaySummary own = Play(set, "default", {3, 0, 0}, 4);
  const ReplaySummary random = Play(set, "random", {3, 0, 0}, 4);
  EXPECT_GT(own.mean.accuracy, random.mean.accuracy + 0.05);
  EXPECT_LT(own.mean.seconds_per_label, random.mean.seconds_per_label);
  const ReplaySummary greedy = Play(set, "best-score", {3, 0, 0}, 4);
  EXPECT_LT(own.mean.gini, greedy.mean.gini);
}

TEST(ReplayTest, StopsAtTheTargetAndSavesAnswers) {
  const ReplaySet set = Crowd(7, 200, 30, 2);
  const ReplaySummary summary = Play(set, "default", {12, 0.5, 0.9}, 3);
  EXPECT_LT(summary.mean.answers_per_task, 12);
  EXPECT_GT(summary.mean.stopped_share, 0.5);
  EXPECT_GE(summary.mean.stated_at_stop, 0.9);
  EXPECT_NEAR(summary.mean.realised_at_stop, summary.mean.stated_at_stop, 0.06);
  const ReplaySummary never = Play(set, "default", {2, 0.5, 0}, 1);
  EXPECT_EQ(never.mean.stopped_share, 0);
  EXPECT_TRUE(std::isnan(never.mean.stated_at_stop));
}

TEST(ReplayTest, DegenerateSetsGiveNumbers) {
  ReplaySet set;
  set.tasks = 3;
  set.contractors = set.classes = 1;
  set.truth = {0, kNoTruth, 0};
  set.contractor_hash = {1};
  const double untimed = std::numeric_limits<double>::quiet_NaN();
  for (int t = 0; t < 3; ++t) set.answers.push_back({t, 0, 0, untimed});
  for (const std::string& name : dispatch::ChoicePolicyNames()) {
    SCOPED_TRACE(name);
    const auto outcome = RunReplay(set, *Named(name), {3, 0, 0.9}, 1);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_DOUBLE_EQ(outcome->accuracy, 1);
    EXPECT_TRUE(std::isnan(outcome->seconds_per_label));
  }
}

TEST(ReplayTest, NamesWhatIsWrong) {
  EXPECT_EQ(FieldOf(ReplayOptions{0, 0, 0}.Validate()), "answers-per-task");
  EXPECT_EQ(FieldOf(ReplayOptions{std::nan(""), 0, 0}.Validate()), "answers-per-task");
  EXPECT_EQ(FieldOf(ReplayOptions{1, 1, 0}.Validate()), "gold-rate");
  EXPECT_EQ(FieldOf(ReplayOptions{1, 0, 1}.Validate()), "stop");
  EXPECT_THAT(
      std::string(dispatch::MakeChoicePolicy("best", dispatch::DefaultPolicy()).status().message()),
      HasSubstr("round-robin"));
  EXPECT_FALSE(RunReplay(ReplaySet(), *Named("random"), {1, 0, 0}, 1).ok());
  dispatch::Policy formula;
  EXPECT_TRUE(dispatch::SetWeight("fair=0.25", formula).ok());
  EXPECT_EQ(formula.fair, 0.25);
  EXPECT_THAT(std::string(dispatch::SetWeight("fare=1", formula).message()), HasSubstr("fair"));
  EXPECT_FALSE(dispatch::SetWeight("fair=-1", formula).ok());
  EXPECT_FALSE(dispatch::SetWeight("fair", formula).ok());
}

TEST(GiniTest, IsZeroForEqualSharesAndNearOneForASingleOne) {
  EXPECT_DOUBLE_EQ(Gini({2, 2, 2}), 0);
  EXPECT_DOUBLE_EQ(Gini({0, 0, 0, 8}), 0.75);
  EXPECT_DOUBLE_EQ(Gini({1, 3}), 0.25);
  EXPECT_EQ(Gini({0, 0}), 0);
}

// Snow et al. 2008: three answers a task, dealt in turn, give majority 0.81, and all ten 0.92.
TEST(ReplayTest, ThreeChosenAnswersATaskOnRteReachNineInTen) {
  const char* shared = std::getenv("FAIRLEAD_SHARED");
  const std::string folder =
      std::string(shared != nullptr ? shared : FAIRLEAD_SOURCE_DIR "/../shared") +
      "/data/crowd/snow_rte";
  if (!std::ifstream(folder + "/labels.csv").good()) {
    GTEST_SKIP() << "needs " << folder << " (set FAIRLEAD_SHARED)";
  }
  const auto files = cli::ReadReplayFiles(folder);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_GE(Play(files->set, "default", {3, 0, 0}, 4).mean.accuracy, 0.905);
}

}  // namespace
}  // namespace fairlead::replay
