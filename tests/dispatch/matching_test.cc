#include "scheduler/dispatch/matching.h"

#include <algorithm>
#include <ctime>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "scheduler/dispatch/explanation.h"
#include "tests/support/free_crowd.h"

namespace fairlead::dispatch {
namespace {

FreeContractor Contractor(int id, double right, double wrong, int credit = 1) {
  FreeContractor c;
  c.contractor = absl::StrCat("w", id);
  c.credit = credit;
  quality::ContractorScore& s = c.scores[v1::TASK_KIND_IMAGE_TEXT];
  s.right = right;
  s.wrong = wrong;
  return c;
}

ReadyTask Task(int id, int places = 1) {
  ReadyTask t;
  t.task = absl::StrCat("t", id);
  t.kind = v1::TASK_KIND_IMAGE_TEXT;
  t.places = places;
  t.pay_micros = 50'000;
  t.expire_ms = 1'000'000;
  return t;
}

Policy WithoutFloors() {
  Policy p;
  p.newcomer_share = p.waiting_share = 0;
  return p;
}

Snapshot RandomSnapshot(uint32_t seed, int tasks, int contractors) {
  std::mt19937 rng(seed);
  const auto uniform = [&](double a, double b) {
    return std::uniform_real_distribution<>(a, b)(rng);
  };
  Snapshot s;
  s.now_ms = 500'000;
  for (int i = 0; i < contractors; ++i) {
    FreeContractor c = Contractor(i, uniform(0, 80), uniform(0, 20), 1 + rng() % 3);
    quality::AddPace(uniform(3, 60), c.scores[v1::TASK_KIND_IMAGE_TEXT]);
    quality::AddOfferOutcome(rng() % 2, uniform(1, 60), 1, c.scores[v1::TASK_KIND_IMAGE_TEXT]);
    for (const char* skill : {"latin", "greek", "maths"}) {
      if (rng() % 2) c.skills.push_back(skill);
    }
    c.min_pay_micros = uniform(0, 80'000);
    c.seconds_since_offer = uniform(0, 900);
    c.earned_recently = uniform(0, 5e6);
    s.contractors.push_back(c);
  }
  for (int i = 0; i < tasks; ++i) {
    ReadyTask t = Task(i, 1 + rng() % 3);
    t.gold = rng() % 10 == 0;
    t.pay_micros = uniform(20'000, 90'000);
    for (int j = 0; j < 5; ++j) t.excluded.insert(absl::StrCat("w", rng() % contractors));
    if (rng() % 3 == 0) t.required_skills = {"latin"};
    if (rng() % 7 == 0) t.required_skills = {"maths", "greek"};
    s.tasks.push_back(t);
  }
  return s;
}

TEST(MatchingTest, RespectsExclusionCreditSkillsPayAndPlaces) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    const Snapshot s = RandomSnapshot(seed, 60, 40);
    std::map<std::string, int> credit, places;
    std::set<std::pair<std::string, std::string>> pairs;
    const auto choices = Match(s, DefaultPolicy(), seed, 1'000);
    EXPECT_GT(choices.size(), 20u);
    for (const Choice& choice : choices) {
      const ReadyTask& task = s.tasks[std::stoi(choice.task.substr(1))];
      const FreeContractor& c = s.contractors[std::stoi(choice.contractor.substr(1))];
      EXPECT_FALSE(task.excluded.contains(c.contractor));
      EXPECT_GE(task.pay_micros, c.min_pay_micros);
      for (const auto& skill : task.required_skills) {
        EXPECT_NE(std::find(c.skills.begin(), c.skills.end(), skill), c.skills.end());
      }
      EXPECT_LE(++credit[c.contractor], c.credit);
      EXPECT_LE(++places[task.task], task.places);
      EXPECT_TRUE(pairs.emplace(choice.task, choice.contractor).second) << "same task twice";
      EXPECT_EQ(choice.decision.contractor(), choice.contractor);
      EXPECT_LE(choice.decision.candidate_count(), 40) << "as many as there are";
    }
    EXPECT_EQ(Match(s, DefaultPolicy(), seed, 7).size(), 7u);
  }
}

TEST(MatchingTest, FindsTheOnlyEligibleContractor) {
  Snapshot s;
  for (int i = 0; i < 500; ++i) s.contractors.push_back(Contractor(i, 50, 1));
  s.contractors.push_back(Contractor(500, 0, 50));
  ReadyTask t = Task(0, 3);
  for (int i = 0; i < 500; ++i) t.excluded.insert(absl::StrCat("w", i));
  s.tasks.push_back(t);
  const auto choices = Match(s, DefaultPolicy(), 3, 10);
  ASSERT_EQ(choices.size(), 1u);
  EXPECT_EQ(choices[0].contractor, "w500");
  EXPECT_EQ(choices[0].decision.candidates_size(), kShownCandidates);
  EXPECT_EQ(choices[0].decision.candidates(1).excluded_by(), "answered_before");
}

TEST(MatchingTest, EmptySnapshotsGiveNoChoices) {
  Snapshot s;
  EXPECT_TRUE(Match(s, DefaultPolicy(), 1, 10).empty());
  s.tasks.push_back(Task(0));
  EXPECT_TRUE(Match(s, DefaultPolicy(), 1, 10).empty());
  s.contractors.push_back(Contractor(0, 1, 1, 0));
  EXPECT_TRUE(Match(s, DefaultPolicy(), 1, 10).empty());
}

TEST(MatchingTest, SameSeedSameBitsOtherSeedOtherDraws) {
  const Snapshot s = RandomSnapshot(9, 80, 60);
  const auto once = Match(s, DefaultPolicy(), 5, 1'000);
  const auto again = Match(s, DefaultPolicy(), 5, 1'000);
  const auto other = Match(s, DefaultPolicy(), 6, 1'000);
  ASSERT_EQ(once.size(), again.size());
  for (size_t i = 0; i < once.size(); ++i) {
    EXPECT_EQ(once[i].contractor, again[i].contractor);
    ASSERT_EQ(once[i].decision.candidates_size(), again[i].decision.candidates_size());
    for (int j = 0; j < once[i].decision.candidates_size(); ++j) {
      EXPECT_EQ(once[i].decision.candidates(j).index(), again[i].decision.candidates(j).index());
    }
  }
  const bool differs =
      !std::equal(once.begin(), once.end(), other.begin(), other.end(),
                  [](const Choice& a, const Choice& b) { return a.contractor == b.contractor; });
  EXPECT_TRUE(differs);
}

TEST(MatchingTest, PrefersQualityWhenAllElseIsEqual) {
  int good = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Snapshot s;
    s.contractors = {Contractor(0, 60, 40), Contractor(1, 97, 3)};
    s.tasks = {Task(0)};
    good += Match(s, WithoutFloors(), seed, 1)[0].contractor == "w1";
  }
  EXPECT_GE(good, 195);
}

TEST(MatchingTest, GoldGoesToThoseOfWhomLittleIsKnown) {
  int newcomer = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Snapshot s;
    for (int i = 0; i < 9; ++i) s.contractors.push_back(Contractor(i, 95, 5));
    s.contractors.push_back(Contractor(9, 0, 0));
    s.tasks = {Task(0)};
    s.tasks[0].gold = true;
    newcomer += Match(s, WithoutFloors(), seed, 1)[0].contractor == "w9";
  }
  EXPECT_EQ(newcomer, 200);
}

// Ninety strong contractors and one weak newcomer on ordinary tasks: the kept places reach him.
TEST(MatchingTest, NewcomersGetTheirShare) {
  const auto share = [](const Policy& policy) {
    int newcomer = 0;
    for (uint64_t seed = 0; seed < 1'000; ++seed) {
      Snapshot s;
      for (int i = 0; i < 90; ++i) s.contractors.push_back(Contractor(i, 198, 2));
      s.contractors.push_back(Contractor(90, 0, 6));
      s.tasks = {Task(0)};
      newcomer += Match(s, policy, seed, 1)[0].contractor == "w90";
    }
    return newcomer / 1'000.0;
  };
  EXPECT_LT(share(WithoutFloors()), 0.01);
  EXPECT_NEAR(share(DefaultPolicy()), DefaultPolicy().newcomer_share, 0.02);
}

TEST(MatchingTest, TheLongestWaitingGetTheirShare) {
  Policy policy = WithoutFloors();
  policy.waiting_share = 0.1;
  int longest = 0;
  for (uint64_t seed = 0; seed < 1'000; ++seed) {
    Snapshot s;
    for (int i = 0; i < 90; ++i) s.contractors.push_back(Contractor(i, 198, 2));
    s.contractors.push_back(Contractor(90, 20, 80));
    s.contractors[90].seconds_since_offer = 2 * policy.waiting_window_seconds;
    s.tasks = {Task(0)};
    longest += Match(s, policy, seed, 1)[0].contractor == "w90";
  }
  EXPECT_NEAR(longest / 1'000.0, 0.1, 0.03);
}

// The one who can do both tasks does the one that nobody else can.
TEST(MatchingTest, AWindowIsAssignedAsAWhole) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Snapshot s;
    s.contractors = {Contractor(0, 99, 1), Contractor(1, 80, 20)};
    s.contractors[0].skills = {"latin"};
    s.tasks = {Task(0), Task(1)};
    s.tasks[1].required_skills = {"latin"};
    const auto choices = Match(s, WithoutFloors(), seed, 10);
    ASSERT_EQ(choices.size(), 2u);
    EXPECT_EQ(choices[0].contractor, "w1");
    EXPECT_EQ(choices[1].contractor, "w0");
    EXPECT_EQ(choices[0].decision.candidates(1).excluded_by(), "matched_elsewhere");
    EXPECT_TRUE(Replay(choices[0].decision).ok());
  }
}

// The doubt that all answers left goes to those who are proven, in both ways to choose, and the
// explanation says who was passed over.
TEST(MatchingTest, AnAdjudicatorsPlaceGoesToTheProven) {
  for (const int contractors : {4, 60}) {
    SCOPED_TRACE(contractors);
    Snapshot s;
    for (int i = 0; i < contractors; ++i) s.contractors.push_back(Contractor(i, 4, 1));
    s.contractors.push_back(Contractor(contractors, 95, 5));      // Slow, and yet he.
    s.contractors.push_back(Contractor(contractors + 1, 99, 1));  // Has had it.
    const std::string proven = absl::StrCat("w", contractors);
    for (int i = 0; i < 20; ++i) {
      quality::AddPace(600, s.contractors[contractors].scores[v1::TASK_KIND_IMAGE_TEXT]);
    }
    s.tasks = {Task(0)};
    s.tasks[0].least_quality = 0.8;
    s.tasks[0].excluded.insert(absl::StrCat("w", contractors + 1));
    const auto choices = Match(s, DefaultPolicy(), 3, 10);
    ASSERT_EQ(choices.size(), 1u);
    const v1::Decision& decision = choices[0].decision;
    EXPECT_EQ(choices[0].contractor, proven);
    EXPECT_TRUE(decision.adjudication());
    EXPECT_EQ(std::count_if(decision.candidates().begin(), decision.candidates().end(),
                            [](const auto& c) { return c.excluded_by() == "quality_not_proven"; }),
              3);
    EXPECT_TRUE(Replay(decision).ok());
    s.tasks[0].excluded.insert(proven);
    EXPECT_TRUE(Match(s, DefaultPolicy(), 3, 10).empty()) << "nobody rather than anybody";
    s.tasks[0].least_quality = 0;
    EXPECT_FALSE(Match(s, DefaultPolicy(), 3, 10)[0].decision.adjudication());
  }
}

// Whose skill is not proven is passed over, in both ways to choose, and the explanation says so.
TEST(MatchingTest, NobodysWordIsTakenForASkillThatIsToBeProven) {
  for (const int contractors : {4, 60}) {
    SCOPED_TRACE(contractors);
    Snapshot s;
    for (int i = 0; i < contractors; ++i) {
      s.contractors.push_back(Contractor(i, 90, 1));
      if (i > 0) s.contractors[i].skills = {"latin"};
    }
    s.contractors.push_back(Contractor(contractors, 5, 5));
    s.contractors.back().skills = {"acme/latin"};
    s.tasks = {Task(0)};
    s.tasks[0].required_skills = {"acme/latin"};
    s.tasks[0].named_skills = {"latin"};
    const auto choices = Match(s, DefaultPolicy(), 3, 10);
    ASSERT_EQ(choices.size(), 1u);
    EXPECT_EQ(choices[0].contractor, absl::StrCat("w", contractors));
    const v1::Decision& decision = choices[0].decision;
    EXPECT_EQ(std::count_if(decision.candidates().begin(), decision.candidates().end(),
                            [](const auto& c) { return c.excluded_by() == "skill_not_proven"; }),
              3);
    for (const auto& candidate : decision.candidates()) {
      EXPECT_NE(candidate.contractor(), "w0") << "who does not even say so is not shown";
    }
    EXPECT_FALSE(decision.adjudication());
    EXPECT_TRUE(Replay(decision).ok());
  }
}

TEST(MatchingTest, AnExcludedSkillKeepsATaskFromWhoHasIt) {
  for (const int contractors : {2, 60}) {
    Snapshot s;
    for (int i = 0; i < contractors; ++i) {
      s.contractors.push_back(Contractor(i, 90, 1));
      s.contractors[i].skills = {"!acme/latin-test", "greek"};
    }
    s.contractors[1].skills = {"greek"};
    s.tasks = {Task(0), Task(1)};
    s.tasks[0].excluded_skill = "!acme/latin-test";
    s.tasks[1].excluded.insert("w1");
    const auto choices = Match(s, DefaultPolicy(), 3, 10);
    ASSERT_EQ(choices.size(), 2u);
    for (const Choice& choice : choices) {
      EXPECT_EQ(choice.task == "t0", choice.contractor == "w1");
    }
  }
}

// Fair order stands above the sum of the indices.
TEST(MatchingTest, EarlierTasksAreServedWhereContractorsAreFew) {
  Snapshot s;
  for (int i = 0; i < 3; ++i) s.contractors.push_back(Contractor(i, 50, 5));
  for (int i = 0; i < 9; ++i) s.tasks.push_back(Task(i));
  for (int i = 3; i < 9; ++i) s.tasks[i].create_ms = -1'000'000;  // More urgent.
  std::set<std::string> served;
  for (const Choice& choice : Match(s, DefaultPolicy(), 1, 100)) served.insert(choice.task);
  EXPECT_EQ(served, (std::set<std::string>{"t0", "t1", "t2"}));
}

double Gini(std::vector<double> x) {
  std::sort(x.begin(), x.end());
  double weighted = 0, total = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    weighted += (2.0 * (i + 1) - x.size() - 1) * x[i];
    total += x[i];
  }
  return weighted / (x.size() * total);
}

struct Outcome {
  double gini = 0, accuracy = 0, least = 0;
  double starved = 0;  // Longest wait of anybody, seconds.
};

// Fifty contractors of unequal skill and pace, half as much work as they could do, 2,000 ticks of 5
// s.
Outcome Simulate(const Policy& policy, uint32_t seed) {
  std::mt19937 rng(seed);
  Snapshot s;
  std::vector<double> truth, seconds, busy(50, 0);
  for (int i = 0; i < 50; ++i) {
    truth.push_back(0.6 + 0.38 * i / 49);
    seconds.push_back(std::uniform_real_distribution<>(8, 40)(rng));
    s.contractors.push_back(Contractor(i, 0, 0));
  }
  Outcome run;
  std::vector<double> offers(50, 0);
  int right = 0, total = 0, id = 0;
  for (int tick = 0; tick < 2'000; ++tick) {
    s.now_ms = 1 + tick * 5'000;
    s.tasks.clear();
    for (int i = 0; i < 5; ++i) s.tasks.push_back(Task(id++));
    for (int i = 0; i < 50; ++i) {
      busy[i] -= 5;
      s.contractors[i].credit = busy[i] <= 0 ? 1 : 0;
      s.contractors[i].seconds_since_offer += 5;
      run.starved = std::max(run.starved, s.contractors[i].seconds_since_offer);
    }
    for (const Choice& choice : Match(s, policy, rng(), 100)) {
      const int w = std::stoi(choice.contractor.substr(1));
      FreeContractor& c = s.contractors[w];
      const bool correct = std::bernoulli_distribution(truth[w])(rng);
      store::v1::Evidence e;
      e.set_right(correct);
      e.set_weight(0.7);
      auto& score = c.scores[v1::TASK_KIND_IMAGE_TEXT];
      quality::AddEvidence(e, s.now_ms, score);
      quality::AddPace(seconds[w], score);
      busy[w] = seconds[w];
      c.seconds_since_offer = 0;
      c.earned_recently += 50'000;
      ++offers[w];
      right += correct;
      ++total;
    }
  }
  run.gini = Gini(offers);
  run.accuracy = static_cast<double>(right) / total;
  run.least = *std::min_element(offers.begin(), offers.end());
  return run;
}

TEST(MatchingTest, WorkIsSharedOut) {
  const Outcome fair = Simulate(DefaultPolicy(), 77);
  Policy bare = WithoutFloors();
  bare.fair = bare.waiting = 0;
  const Outcome greedy = Simulate(bare, 77);
  std::printf("default: gini %.3f accuracy %.3f least %.0f longest wait %.0f s\n", fair.gini,
              fair.accuracy, fair.least, fair.starved);
  std::printf("no fairness: gini %.3f accuracy %.3f least %.0f longest wait %.0f s\n", greedy.gini,
              greedy.accuracy, greedy.least, greedy.starved);
  EXPECT_LT(fair.gini, 0.5);
  EXPECT_LT(fair.gini, greedy.gini);
  EXPECT_GT(fair.accuracy, 0.79) << "round robin gives 0.79";
  EXPECT_LT(fair.starved, 2 * DefaultPolicy().waiting_window_seconds);
}

// Of this thread alone: a shared machine does not distort it.
double ThreadCpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

TEST(MatchingTest, ThousandByThousandUnderASecond) {
  Snapshot s = RandomSnapshot(3, 1'000, 1'000);
  const double start = ThreadCpuSeconds();
  const auto choices = Match(s, DefaultPolicy(), 1, 1'000);
  const double seconds = ThreadCpuSeconds() - start;
  std::printf("1,000 x 1,000: %zu choices in %.3f s\n", choices.size(), seconds);
  EXPECT_EQ(choices.size(), 1'000u);
#if !defined(__SANITIZE_ADDRESS__) && !defined(_GLIBCXX_TSAN) && defined(NDEBUG)
  EXPECT_LT(seconds, 1.0);
#endif
}

TEST(MatchingTest, ThousandDecisionsReplayBitForBit) {
  int replayed = 0;
  for (uint32_t seed = 1; replayed < 1'000; ++seed) {
    SCOPED_TRACE(seed);
    for (const Choice& choice :
         Match(RandomSnapshot(seed, 100, 70), DefaultPolicy(), seed, 1'000)) {
      v1::Decision stored;
      ASSERT_TRUE(stored.ParseFromString(choice.decision.SerializeAsString()));
      const auto chosen = Replay(stored);
      ASSERT_TRUE(chosen.ok()) << chosen.status();
      EXPECT_EQ(*chosen, choice.contractor);
      ++replayed;
    }
  }
}

}  // namespace
}  // namespace fairlead::dispatch
