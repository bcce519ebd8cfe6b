#include "scheduler/learn/prelabel_use.h"

#include <random>

#include "absl/random/distributions.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace fairlead::learn {
namespace {

using store::v1::AnnotationRecord;

std::vector<PairedItem> Readings(int right, int wrong, double confidence) {
  std::vector<PairedItem> readings;
  for (int i = 0; i < right + wrong; ++i) {
    PairedItem item;
    item.challenger_confidence = confidence - 1e-6 * i;
    // Errors spread over the range.
    item.challenger_right = wrong > 0 && i % ((right + wrong) / wrong) == 0 ? 0 : 1;
    readings.push_back(item);
  }
  return readings;
}

TEST(ShownOfTest, ATenthIsBlindUnlessSet) {
  fairlead::v1::ModelLoop loop;
  EXPECT_EQ(ShownOf("a", loop), AnnotationRecord::PRELABEL_UNSPECIFIED);
  loop.set_show_prelabel(true);
  const auto share = [&] {
    int blind = 0;
    for (int i = 0; i < 10'000; ++i) {
      blind += ShownOf(absl::StrCat("task-", i), loop) == AnnotationRecord::BLIND ? 1 : 0;
    }
    return blind / 10'000.0;
  };
  EXPECT_NEAR(share(), 0.1, 0.01);
  loop.set_blind_share(0.5);
  EXPECT_NEAR(share(), 0.5, 0.02);
}

TEST(ProvenFromTest, AsManyReadingsAsTheBoundNeeds) {
  EXPECT_EQ(ProvenFrom(Readings(58, 0, 0.9), 0.95), 0);
  EXPECT_NEAR(ProvenFrom(Readings(59, 0, 0.9), 0.95), 0.9, 1e-3);
  EXPECT_EQ(ProvenFrom(Readings(298, 0, 0.9), 0.99), 0);
  EXPECT_NEAR(ProvenFrom(Readings(299, 0, 0.9), 0.99), 0.9, 1e-3);
  EXPECT_EQ(ProvenFrom(Readings(200, 20, 0.9), 0.95), 0);
  EXPECT_EQ(ProvenFrom({}, 0.95), 0);
}

TEST(ProvenFromTest, ItEndsWhereErrorsBegin) {
  std::vector<PairedItem> readings = Readings(200, 0, 0.99);
  for (const PairedItem& item : Readings(100, 50, 0.5)) readings.push_back(item);
  const double from = ProvenFrom(readings, 0.95);
  EXPECT_GT(from, 0.49);
  EXPECT_LT(from, 0.99);
  int64_t above = 0;
  int64_t wrong = 0;
  for (const PairedItem& item : readings) {
    if (item.challenger_confidence < from) continue;
    ++above;
    wrong += item.challenger_right < 1 ? 1 : 0;
  }
  EXPECT_GE(above, 200);
  EXPECT_LT(static_cast<double>(wrong), 0.05 * static_cast<double>(above));
}

// Of models that are right less often than asked at every confidence, few are proven.
TEST(ProvenFromTest, AModelThatIsNotGoodEnoughIsSeldomProven) {
  std::mt19937_64 gen(7);
  int proven = 0;
  constexpr int kModels = 2'000;
  for (int m = 0; m < kModels; ++m) {
    std::vector<PairedItem> readings(300);
    for (PairedItem& item : readings) {
      item.challenger_confidence = absl::Uniform(gen, 0.9, 1.0);
      item.challenger_right = absl::Bernoulli(gen, 0.95) ? 1 : 0;
    }
    proven += ProvenFrom(readings, 0.95) > 0 ? 1 : 0;
  }
  // 5 % by the bound; eight standard errors above.
  EXPECT_LT(proven, kModels * 0.09);
}

class DecidedByModelTest : public ::testing::Test {
 protected:
  DecidedByModelTest() {
    loop_.set_auto_accept_accuracy(0.95);
    model_.set_champion("v2");
    model_.add_versions()->set_version("v1");
    model_.add_versions()->set_version("v2");
    model_.mutable_versions(1)->set_auto_accept_from(0.98);
  }
  // Of 1,000 tasks.
  int Decided(const std::string& version, double confidence) {
    const Proven proven = ProvenOf(loop_, model_);
    int decided = 0;
    for (int i = 0; i < 1'000; ++i) {
      const std::string task = absl::StrCat("task-", i);
      decided += IsDecidedByModel(proven, task, version, confidence) ? 1 : 0;
    }
    return decided;
  }
  fairlead::v1::ModelLoop loop_;
  store::v1::ModelRecord model_;
};

TEST_F(DecidedByModelTest, NineOfTenWhereItIsProven) {
  EXPECT_NEAR(Decided("v2", 0.98), 900, 40);
  EXPECT_EQ(Decided("v2", 0.979), 0);
  EXPECT_EQ(Decided("v1", 1), 0) << "of a version that is no champion any more";
}

TEST_F(DecidedByModelTest, NoneWhereItIsNotProvenOrNotWanted) {
  model_.mutable_versions(1)->set_auto_accept_from(0);
  EXPECT_EQ(Decided("v2", 1), 0);
  model_.mutable_versions(1)->set_auto_accept_from(0.98);
  loop_.set_auto_accept_accuracy(0);
  EXPECT_EQ(Decided("v2", 1), 0);
}

}  // namespace
}  // namespace fairlead::learn
