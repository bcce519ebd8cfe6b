#include "scheduler/dispatch/explanation.h"

#include <cmath>
#include <random>

#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/dispatch/standing.h"

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
  EXPECT_EQ(d.policy_version(), "dispatch/2");
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
  for (const double k : {2.0, 4.0, 20.0}) {
    SCOPED_TRACE(k);
    double last = 0;
    for (double q = 0.55; q <= 1; q += 0.05) {
      EXPECT_GT(InformationGain({}, k, q), last);
      last = InformationGain({}, k, q);
      EXPECT_GT(last, InformationGain({0.9}, k, q));
      EXPECT_GT(InformationGain({0.9}, k, q), InformationGain({0.99}, k, q));
    }
    EXPECT_LE(last, 1);
    EXPECT_NEAR(InformationGain({}, k, 1), 1, 1e-12);
    EXPECT_EQ(InformationGain({}, k, 0), kMinGain);
    EXPECT_EQ(InformationGain({1.0}, k, 0.9), kMinGain);
  }
}

TEST(PolicyTest, GainIsTheMutualInformationOfAnswerAndTruth) {
  // H(truth) - sum over answers of P(answer) H(truth | answer), written out for three classes.
  const double q[] = {0.6, 0.3, 0.1};
  const double p = 0.8;
  const auto entropy = [](const double* x) {
    return -x[0] * std::log(x[0]) - x[1] * std::log(x[1]) - x[2] * std::log(x[2]);
  };
  double gain = entropy(q);
  for (int answer = 0; answer < 3; ++answer) {
    double joint[3], total = 0;
    for (int k = 0; k < 3; ++k) total += joint[k] = q[k] * (k == answer ? p : (1 - p) / 2);
    for (double& x : joint) x /= total;
    gain -= total * entropy(joint);
  }
  EXPECT_NEAR(InformationGain({0.6, 0.3, 0.1}, 3, p), gain / std::log(3), 1e-12);
  EXPECT_NEAR(InformationGain({0.6, 0.3}, 3, p), gain / std::log(3), 1e-12);
}

TEST(StandingTest, FairShareFallsWithWhatOneHadAndRisesWithTimeOnline) {
  const Totals totals{1'000, 10, 10};
  EXPECT_NEAR(FairShare(100, 1, totals), 1, 1e-12);
  EXPECT_GT(FairShare(50, 1, totals), 1);
  EXPECT_LT(FairShare(200, 1, totals), 1);
  EXPECT_GT(FairShare(100, 2, totals), FairShare(100, 1, totals));
  EXPECT_GT(FairShare(0, 0, totals), 1) << "half of it is due to each alike";
  EXPECT_EQ(FairShare(0, 1, Totals()), 1);
}

}  // namespace
}  // namespace fairlead::dispatch
