#include "scheduler/learn/paired_gate.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/philox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fairlead::learn {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

PairedItem Item(uint64_t group, bool champion, bool challenger) {
  PairedItem item;
  item.group = group;
  item.champion_right = champion ? 1 : 0;
  item.challenger_right = challenger ? 1 : 0;
  item.champion_confidence = item.challenger_confidence = 0.8;
  item.champion_loss = -std::log(champion ? 0.8 : 0.2);
  item.challenger_loss = -std::log(challenger ? 0.8 : 0.2);
  return item;
}

// `count` items, 80 % right; the challenger also gains `gained` of them and loses `lost`. Both know
// how often they are right.
std::vector<PairedItem> Part(int count, int gained, int lost, uint64_t first_group) {
  std::vector<PairedItem> items;
  const int right = count * 8 / 10;
  for (int i = 0; i < count; ++i) {
    const bool champion = i < right;
    const bool challenger = champion ? i >= lost : i < right + gained;
    items.push_back(Item(first_group + static_cast<uint64_t>(i), champion, challenger));
    items.back().challenger_confidence = static_cast<double>(right + gained - lost) / count;
  }
  return items;
}

PairedEvidence Evidence(int gained, int lost) {
  return {Part(500, gained, lost, 0), Part(500, gained, lost, 1000), {}};
}

TEST(PairedGateTest, PromotesWhatIsSurelyBetterAndSaysByHowMuch) {
  const PairedDecision decision = DecidePaired(Evidence(25, 10));
  EXPECT_TRUE(decision.promote) << decision.reason;
  EXPECT_NEAR(decision.gain, 0.03, 1e-12);
  // Of independent items the error is that of the mean.
  EXPECT_NEAR(decision.gain_error, std::sqrt((70.0 / 1000 - 0.0009) / 999), 1e-6);
  EXPECT_THAT(decision.reason, HasSubstr("50 gained, 20 lost of 1000 items in 1000 groups"));
}

TEST(PairedGateTest, RefusesWhatMayBeNoise) {
  EXPECT_FALSE(DecidePaired(Evidence(25, 20)).promote);
  EXPECT_FALSE(DecidePaired(Evidence(0, 0)).promote);
  EXPECT_FALSE(DecidePaired({}).promote);
}

TEST(PairedGateTest, AGroupIsOnePieceOfEvidence) {
  PairedEvidence evidence = Evidence(25, 10);
  ASSERT_TRUE(DecidePaired(evidence).promote);
  // The gains sit in two groups: no more than two pieces of luck.
  for (auto* part : {&evidence.frozen, &evidence.prequential}) {
    for (PairedItem& item : *part) {
      if (item.challenger_right > item.champion_right) item.group = 7777;
    }
  }
  EXPECT_FALSE(DecidePaired(evidence).promote);
}

TEST(PairedGateTest, FewDifferencesAreCountedExactly) {
  // McNemar's exact p of 5 to 0 is 1/32, of 4 to 0 it is 1/16.
  PairedEvidence five{Part(100, 5, 0, 0), {}, {}};
  const PairedDecision decision = DecidePaired(five);
  EXPECT_NEAR(decision.p_value, 1.0 / 32, 1e-9);
  EXPECT_TRUE(decision.promote) << decision.reason;
  EXPECT_FALSE(DecidePaired({Part(100, 4, 0, 0), {}, {}}).promote);
}

TEST(PairedGateTest, RefusesWhatIsNotANumber) {
  PairedEvidence evidence = Evidence(50, 0);
  evidence.frozen[3].challenger_loss = std::nan("");
  EXPECT_THAT(DecidePaired(evidence).reason, HasSubstr("not finite"));
  evidence = Evidence(50, 0);
  evidence.safety = {{true, 0, INFINITY}};
  EXPECT_FALSE(DecidePaired(evidence).promote);
}

TEST(PairedGateTest, RefusesALostClassHoweverGoodTheRest) {
  PairedEvidence evidence = Evidence(60, 0);
  for (int i = 0; i < 20; ++i) {
    evidence.frozen[static_cast<size_t>(i)].slices = {"character 7"};
    evidence.frozen[static_cast<size_t>(i)].challenger_right = 0;
  }
  EXPECT_THAT(DecidePaired(evidence).reason, HasSubstr("character 7 is lost"));
}

TEST(PairedGateTest, RefusesASliceThatFell) {
  PairedEvidence evidence = Evidence(60, 0);
  for (int i = 0; i < 100; ++i) {
    evidence.frozen[static_cast<size_t>(i)].slices = {"length 5"};
    if (i < 20) evidence.frozen[static_cast<size_t>(i)].challenger_right = 0;
  }
  EXPECT_THAT(DecidePaired(evidence).reason, StartsWith("refused: slice length 5"));
}

TEST(PairedGateTest, RefusesAWindowThatGotWorse) {
  const PairedEvidence evidence{Part(1000, 120, 0, 0), Part(500, 0, 20, 5000), {}};
  EXPECT_THAT(DecidePaired(evidence).reason, HasSubstr("prequential window"));
}

TEST(PairedGateTest, RefusesWorseLikelihoodAndCalibration) {
  PairedEvidence unlikely = Evidence(25, 10);
  for (PairedItem& item : unlikely.frozen) item.challenger_loss += 0.2;
  EXPECT_THAT(DecidePaired(unlikely).reason, StartsWith("refused: loss"));
  PairedEvidence proud = Evidence(25, 10);
  for (auto* part : {&proud.frozen, &proud.prequential}) {
    for (PairedItem& item : *part) item.challenger_confidence = 0.99;
  }
  EXPECT_THAT(DecidePaired(proud).reason, HasSubstr("calibration error"));
}

TEST(PairedGateTest, RefusesWhenSafetyRecallFalls) {
  PairedEvidence evidence = Evidence(25, 10);
  for (int i = 0; i < 200; ++i) {
    const double x = i / 200.0;
    evidence.safety.push_back({true, 1 + x, 1 + x});
    evidence.safety.push_back({false, x, x < 0.5 ? x : 3 + x});
  }
  const PairedDecision decision = DecidePaired(evidence);
  EXPECT_THAT(decision.reason, HasSubstr("safety recall 0.5000, champion's 1.0000"));
  for (SafetyItem& item : evidence.safety) item.challenger_score = item.champion_score;
  EXPECT_TRUE(DecidePaired(evidence).promote);
}

TEST(PairedGateTest, PromotesNoiseNoMoreOftenThanItSays) {
  int promoted = 0;
  for (uint32_t trial = 0; trial < 400; ++trial) {
    PhiloxStream stream(5, 0, trial, 0);
    PairedEvidence evidence;
    for (uint64_t i = 0; i < 400; ++i) {
      const bool champion = stream.Uniform(0, 1) < 0.8, challenger = stream.Uniform(0, 1) < 0.8;
      (i % 2 == 0 ? evidence.frozen : evidence.prequential)
          .push_back(Item(i, champion, challenger));
    }
    promoted += DecidePaired(evidence).promote ? 1 : 0;
  }
  EXPECT_LE(promoted, 32) << "8 % of 400";
  EXPECT_GE(promoted, 4) << "a gate that never opens tells nothing";
}

}  // namespace
}  // namespace fairlead::learn
