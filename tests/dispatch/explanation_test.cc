#include "scheduler/dispatch/explanation.h"

#include <cmath>
#include <random>

#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fairlead::dispatch {
namespace {

using testing::HasSubstr;

Candidate Random(std::mt19937& rng, const char* name) {
  const auto uniform = [&](double a, double b) {
    return std::uniform_real_distribution<>(a, b)(rng);
  };
  Candidate c;
  c.contractor = name;
  c.features.information_gain = uniform(0.05, 1);
  c.features.expected_seconds = uniform(1, 100);
  c.features.fair_share = uniform(0, kMaxFairShare);
  c.features.waiting = uniform(0, kMaxWaiting);
  c.features.newcomer = uniform(0, 1);
  c.features.responsiveness = uniform(0, 1);
  return c;
}

v1::Decision SomeDecision() {
  std::mt19937 rng(3);
  std::vector<Candidate> ranked = {Random(rng, "a"), Random(rng, "b")};
  for (Candidate& c : ranked) c.index = Index(c.features, 1.5, DefaultPolicy());
  if (ranked[1].index > ranked[0].index) std::swap(ranked[0], ranked[1]);
  Candidate out;
  out.contractor = "c";
  out.excluded_by = "min_pay";
  return Explain("t1", 1.5, DefaultPolicy(), 42, ranked, {out});
}

TEST(ExplanationTest, FlipReallyFlips) {
  const uint32_t seed = 13;
  std::mt19937 rng(seed);
  int found = 0;
  for (int run = 0; run < 1'000; ++run) {
    SCOPED_TRACE(run);
    const Policy policy = DefaultPolicy();
    Candidate a = Random(rng, "a"), b = Random(rng, "b");
    a.index = Index(a.features, 1.2, policy);
    b.index = Index(b.features, 1.2, policy);
    if (b.index > a.index) std::swap(a, b);
    const auto flip = SmallestFlip(a, b, 1.2, policy);
    if (!flip.has_value()) continue;
    ++found;
    Features changed = b.features;
    if (flip->feature == "information_gain") changed.information_gain = flip->to;
    if (flip->feature == "expected_seconds") changed.expected_seconds = flip->to;
    if (flip->feature == "fair_share") changed.fair_share = flip->to;
    if (flip->feature == "waiting") changed.waiting = flip->to;
    if (flip->feature == "newcomer") changed.newcomer = flip->to;
    if (flip->feature == "responsiveness") changed.responsiveness = flip->to;
    EXPECT_GT(Index(changed, 1.2, policy), a.index) << flip->feature;
  }
  EXPECT_GT(found, 900);
}

TEST(ExplanationTest, SaysWhatWasUsed) {
  const v1::Decision d = SomeDecision();
  EXPECT_EQ(d.candidate_count(), 3);
  EXPECT_EQ(d.candidates_size(), 3);
  EXPECT_EQ(d.candidates(2).excluded_by(), "min_pay");
  EXPECT_EQ(d.rank(), 1);
  EXPECT_EQ(d.seed(), 42u);
  EXPECT_EQ(d.policy_version(), "dispatch/1");
  EXPECT_THAT(d.flip(), HasSubstr("the runner-up, had its"));
  EXPECT_EQ(FromWeights({d.weights().begin(), d.weights().end()})->fair, DefaultPolicy().fair);
}

TEST(ExplanationTest, ReplayRefusesWhatWasTamperedWith) {
  ASSERT_TRUE(Replay(SomeDecision()).ok());
  v1::Decision index = SomeDecision();
  const double old = index.candidates(1).index();
  index.mutable_candidates(1)->set_index(std::nextafter(old, 2 * old));
  EXPECT_EQ(ReasonOf(Replay(index).status()), "REPLAY_MISMATCH");
  v1::Decision other = SomeDecision();
  other.set_contractor("c");
  EXPECT_EQ(ReasonOf(Replay(other).status()), "REPLAY_MISMATCH");
  v1::Decision weights = SomeDecision();
  weights.mutable_weights()->erase("fair");
  EXPECT_EQ(ReasonOf(Replay(weights).status()), "POLICY_INCOMPLETE");
  EXPECT_FALSE(Replay(v1::Decision()).ok());
}

TEST(PolicyTest, GainGrowsWithQualityAndOpenness) {
  for (const auto kind : {v1::TASK_KIND_IMAGE_TEXT, v1::TASK_KIND_PAIR, v1::TASK_KIND_CLASS}) {
    double last = 0;
    for (double q = 0.55; q <= 1; q += 0.05) {
      EXPECT_GT(InformationGain(kind, q, 1), last);
      last = InformationGain(kind, q, 1);
    }
    EXPECT_LE(last, 1);
    EXPECT_NEAR(InformationGain(kind, 1, 1), 1, 1e-12);
    EXPECT_LT(InformationGain(kind, 0.8, 0.5), InformationGain(kind, 0.8, 1));
    EXPECT_EQ(InformationGain(kind, 0, 1), kMinGain);
  }
}

}  // namespace
}  // namespace fairlead::dispatch
