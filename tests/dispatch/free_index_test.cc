#include "scheduler/dispatch/free_index.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace fairlead::dispatch {
namespace {

constexpr int64_t kNowMs = 1'800'000'000'000;
const BucketKey kClasses = {v1::TASK_KIND_CLASS, 4, false, 50'000, {}};
const BucketKey kLatin = {v1::TASK_KIND_CLASS, 4, false, 50'000, {"latin"}};
const BucketKey kGold = {v1::TASK_KIND_CLASS, 4, true, 50'000, {}};

class FreeIndexTest : public ::testing::Test {
 protected:
  static Availability There(int credit = 1, int64_t waits_ms = 0) {
    Availability there;
    there.credit = credit;
    there.last_offer_ms = kNowMs - waits_ms;
    there.since_ms = kNowMs - 60'000;
    there.until_ms = kNowMs + 600'000;
    return there;
  }
  std::vector<std::string> Names(const BucketKey& key, bool newcomers = false) {
    FreeIndex::Bucket& bucket = index_.BucketFor(key, kNowMs);
    return Drain(bucket.ranks.Best(newcomers));
  }
  std::vector<std::string> Drain(RankBucket::Walk walk) {
    std::vector<std::string> names;
    for (Slot slot = walk.Next(); slot != kNoSlot; slot = walk.Next()) {
      names.emplace_back(index_.NameOf(slot));
    }
    return names;
  }
  void Judged(const std::string& name, double right, double wrong) {
    scores_[name].right = right;
    scores_[name].wrong = wrong;
  }

  std::map<std::string, quality::ContractorScore, std::less<>> scores_;
  const Policy policy_ = DefaultPolicy();
  FreeIndex index_{policy_, 5, 60'000, [this](absl::string_view name, v1::TaskKind) {
                     const auto found = scores_.find(name);
                     return found == scores_.end() ? quality::ContractorScore() : found->second;
                   }};
};

TEST_F(FreeIndexTest, RanksByTheFormula) {
  Judged("poor", 500, 500);
  Judged("good", 990, 10);
  Judged("middling", 800, 200);
  for (const char* name : {"poor", "good", "middling"}) index_.Put(name, There(), kNowMs);
  EXPECT_EQ(Names(kClasses), (std::vector<std::string>{"good", "middling", "poor"}));
}

TEST_F(FreeIndexTest, TheLongestWaitingComeFirstInTheirWalk) {
  index_.Put("now", There(1, 0), kNowMs);
  index_.Put("longest", There(1, 900'000), kNowMs);
  index_.Put("long", There(1, 300'000), kNowMs);
  FreeIndex::Bucket& bucket = index_.BucketFor(kClasses, kNowMs);
  EXPECT_EQ(Drain(bucket.ranks.LongestWaiting()),
            (std::vector<std::string>{"longest", "long", "now"}));
}

TEST_F(FreeIndexTest, BucketsAdmitBySkillAndKnowNewcomers) {
  Availability latin = There();
  latin.skills = {"maths", "latin"};
  Judged("old", 90, 10);
  index_.Put("old", latin, kNowMs);
  EXPECT_EQ(Names(kLatin), std::vector<std::string>{"old"});
  index_.Put("new", There(), kNowMs);
  EXPECT_EQ(Names(kLatin), std::vector<std::string>{"old"});
  EXPECT_EQ(Names(kClasses).size(), 2u);
  EXPECT_EQ(Names(kClasses, true), std::vector<std::string>{"new"});
  EXPECT_EQ(Names(kGold).front(), "new") << "gold tells most about him";
}

TEST_F(FreeIndexTest, PacedGoldIsOfThoseWhoAreDueForIt) {
  BucketKey paced = kGold;
  paced.paced = true;
  index_.Put("newcomer", There(), kNowMs);
  Judged("known", 190, 10);  // Three in a hundred are due to him.
  scores_["known"].annotations = 100;
  for (const auto& [gold, due] : {std::pair(2, true), std::pair(8, false)}) {
    scores_["known"].gold_answers = gold;
    index_.Put("known", There(), kNowMs);
    std::vector<std::string> names = Names(paced);
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names, due ? std::vector<std::string>({"known", "newcomer"})
                         : std::vector<std::string>({"newcomer"}));
  }
  EXPECT_EQ(Names(kGold).size(), 2);
  Availability busy = There();
  busy.gold_open = 1;
  index_.Put("newcomer", busy, kNowMs);
  EXPECT_TRUE(Names(paced).empty()) << "his first answer is gold already";
}

TEST_F(FreeIndexTest, WhoIsGivenGoldIsDueForNoMore) {
  BucketKey paced = kGold;
  paced.paced = true;
  index_.Put("newcomer", There(/*credit=*/3), kNowMs);
  ASSERT_EQ(Names(paced).size(), 1);
  index_.Charge(index_.Find("newcomer"), 50'000, /*gold=*/true, kNowMs);
  EXPECT_TRUE(Names(paced).empty());
  EXPECT_EQ(Names(kClasses).size(), 1);
}

TEST(GoldShareTest, GoesFromThreeTenthsToTwoHundredthsByWhatIsNotKnown) {
  EXPECT_EQ(GoldShare(0.2, 0.2), 0.3);
  EXPECT_EQ(GoldShare(0.5, 0.2), 0.3);
  EXPECT_NEAR(GoldShare(0.1, 0.2), 0.15, 1e-12);
  EXPECT_EQ(GoldShare(0, 0.2), 0.02);
  int gold = 0;
  for (int answers = 0; answers < 1'000; ++answers) gold += IsDueForGold(0.05, gold, answers);
  EXPECT_EQ(gold, 50);
}

TEST_F(FreeIndexTest, NobodyIsFoundForLessThanHeAsks) {
  Availability there = There();
  there.min_pay_micros = 50'000;
  index_.Put("content", there, kNowMs);
  there.min_pay_micros = 50'000.01;
  index_.Put("dearer", there, kNowMs);
  EXPECT_EQ(Names(kClasses), std::vector<std::string>{"content"});
  EXPECT_EQ(Names({v1::TASK_KIND_CLASS, 4, false, 50'001, {}}).size(), 2u);
}

TEST_F(FreeIndexTest, ManyPaysShareBucketsThatStillSayWhoAsksForMore) {
  Availability there = There();
  there.min_pay_micros = 50'000;
  index_.Put("content", there, kNowMs);
  for (int i = 0; i < 1'000; ++i) {
    index_.BucketFor({v1::TASK_KIND_CLASS, 4, false, 20'000.5 + 70 * i, {}}, kNowMs);
  }
  EXPECT_LT(index_.buckets(), 32u + 11u) << "two octaves and a bit, four classes each";
  for (int i = 0; i < 1'000; ++i) {
    const double pay = 20'000.5 + 70 * i;
    FreeIndex::Bucket& bucket = index_.BucketFor({v1::TASK_KIND_CLASS, 4, false, pay, {}}, kNowMs);
    ASSERT_GE(bucket.key.pay_micros, pay);
    const Slot found = bucket.ranks.Best(false).Next();
    ASSERT_EQ(found != kNoSlot && index_.TakesFor(found, pay), pay >= 50'000) << pay;
  }
}

TEST_F(FreeIndexTest, CreditIsSpentAndComesBack) {
  index_.Put("twice", There(2), kNowMs);
  FreeIndex::Bucket& bucket = index_.BucketFor(kClasses, kNowMs);
  const Slot slot = bucket.ranks.Best(false).Next();
  index_.Charge(slot, 50'000, false, kNowMs);
  EXPECT_EQ(index_.free(), 1u);
  index_.Charge(slot, 50'000, false, kNowMs);
  EXPECT_EQ(index_.free(), 0u);
  EXPECT_TRUE(Names(kClasses).empty());
  index_.Put("twice", There(1), kNowMs);
  EXPECT_EQ(Names(kClasses), std::vector<std::string>{"twice"});
  EXPECT_GT(index_.TotalsAt(kNowMs).earned, 0) << "what he had is remembered";
}

TEST_F(FreeIndexTest, WhoHadMuchStandsBehindHisEqual) {
  Judged("rich", 900, 100);
  Judged("poor", 900, 100);
  index_.Put("rich", There(), kNowMs);
  index_.Put("poor", There(), kNowMs);
  index_.SetEarned("rich", 9e6, kNowMs);
  index_.BucketFor(kClasses, kNowMs);
  for (int64_t ms = 0; ms <= 60'000; ms += 1'000) index_.Refresh(kNowMs + ms);
  EXPECT_EQ(Names(kClasses), (std::vector<std::string>{"poor", "rich"}));
}

TEST_F(FreeIndexTest, WhoseTimeHasPassedIsNotFoundAndAtLastForgotten) {
  index_.Put("a-name-that-is-much-longer-than-any-id-there-is", There(), kNowMs);
  FreeIndex::Bucket& bucket = index_.BucketFor(kClasses, kNowMs);
  const Slot slot = bucket.ranks.Best(false).Next();
  EXPECT_TRUE(index_.Present(slot, kNowMs + 599'000));
  EXPECT_FALSE(index_.Present(slot, kNowMs + 601'000));
  EXPECT_EQ(index_.free(), 0u);
  EXPECT_EQ(index_.known(), 1u);
  index_.Refresh(kNowMs + 5'000'000);
  EXPECT_EQ(index_.known(), 0u);
  EXPECT_EQ(index_.buckets(), 0u) << "nor is a bucket that nobody asks for";
  index_.Put("next", There(), kNowMs);
  EXPECT_EQ(Names(kClasses), std::vector<std::string>{"next"});
}

// Whatever happens in whatever order: found is who is free, once, level by level.
TEST_F(FreeIndexTest, HoldsAfterManyChanges) {
  std::mt19937 rng(3);
  int64_t now = kNowMs;
  for (int step = 0; step < 20'000; ++step) {
    const std::string name = absl::StrCat("w", rng() % 300);
    if (rng() % 4 == 0) Judged(name, rng() % 200, rng() % 50);
    FreeIndex::Bucket& bucket = index_.BucketFor(rng() % 2 == 0 ? kClasses : kGold, now);
    switch (rng() % 4) {
      case 0:
        index_.Put(name, There(static_cast<int>(rng() % 3), rng() % 1'000'000), now);
        break;
      case 1:
        index_.Put(name, There(0), now);
        break;
      case 2: {
        const Slot slot = bucket.ranks.LongestWaiting().Next();
        if (slot != kNoSlot) index_.Charge(slot, 1'000.0 * (rng() % 90), rng() % 9 == 0, now);
        break;
      }
      default:
        now += 7;
        index_.Refresh(now);
    }
    if (step % 200 != 0) continue;
    for (const BucketKey& key : {kClasses, kGold}) {
      FreeIndex::Bucket& checked = index_.BucketFor(key, now);
      const auto best = Drain(checked.ranks.Best(false));
      const auto waiting = Drain(checked.ranks.LongestWaiting());
      ASSERT_EQ(best.size(), index_.free());
      ASSERT_EQ(std::set<std::string>(best.begin(), best.end()).size(), best.size());
      ASSERT_EQ(std::set<std::string>(best.begin(), best.end()),
                std::set<std::string>(waiting.begin(), waiting.end()));
      auto walk = checked.ranks.Best(false);
      uint32_t level = RankBucket::kLevels;
      for (Slot slot = walk.Next(); slot != kNoSlot; slot = walk.Next()) {
        ASSERT_LE(checked.ranks.at(slot).level, level);
        level = checked.ranks.at(slot).level;
      }
    }
  }
  EXPECT_LE(index_.known(), 300u);
}

TEST_F(FreeIndexTest, TheSameSeedDrawsTheSameForAMinute) {
  Judged("w", 8, 2);
  index_.Put("w", There(), kNowMs);
  FreeIndex::Bucket& bucket = index_.BucketFor(kClasses, kNowMs);
  const Slot slot = bucket.ranks.Best(false).Next();
  std::set<float> samples;
  for (int64_t ms = 0; ms < 600'000; ms += 1'500) {
    samples.insert(index_.MemberAt(bucket, slot, kNowMs + ms).sampled);
  }
  EXPECT_GE(samples.size(), 10u);
  EXPECT_LE(samples.size(), 11u);
}

}  // namespace
}  // namespace fairlead::dispatch
