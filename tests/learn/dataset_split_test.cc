#include "scheduler/learn/dataset_split.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace fairlead::learn {
namespace {

TEST(DatasetSplitTest, SharesAreAsPublished) {
  int validation = 0;
  for (int i = 0; i < 20'000; ++i) {
    const Split split = SplitOf("", absl::StrCat("task-", i), false);
    EXPECT_NE(split, Split::kTest);
    validation += split == Split::kValidation;
  }
  EXPECT_NEAR(validation / 20'000.0, 0.15, 0.01);
}

TEST(DatasetSplitTest, GroupDecidesNotTheItem) {
  for (int g = 0; g < 200; ++g) {
    const std::string group = absl::StrCat("receipt-", g);
    EXPECT_EQ(SplitOf(group, "a", false), SplitOf(group, "b", false));
  }
  EXPECT_EQ(SplitOf("g", "a", true), Split::kTest);
}

TEST(DatasetSplitTest, NothingIsTrainedOnBesideGold) {
  std::vector<std::string> groups, ids;
  for (int i = 0; i < 600; ++i) {
    groups.push_back(absl::StrCat("g", i / 3));
    ids.push_back(absl::StrCat("t", i));
  }
  std::vector<SplitItem> items;
  for (int i = 0; i < 600; ++i) items.push_back({groups[i], ids[i], i % 30 == 0});
  const std::vector<Split> splits = AssignSplits(items);
  std::map<std::string, bool> trained, tested;
  for (int i = 0; i < 600; ++i) {
    EXPECT_EQ(splits[i] == Split::kTest, items[i].gold);
    if (splits[i] == Split::kTrain) trained[groups[i]] = true;
    if (splits[i] == Split::kTest) tested[groups[i]] = true;
  }
  EXPECT_EQ(tested.size(), 20u);
  for (const auto& [group, yes] : tested) EXPECT_FALSE(trained.contains(group)) << group;
  EXPECT_EQ(SplitName(Split::kValidation), "VALIDATION");
}

TEST(DatasetSplitTest, TheWindowIsAQuarterOfWhatIsNewAndTrainedOnInTheNextRound) {
  std::vector<std::string> groups, ids;
  for (int i = 0; i < 4'000; ++i) {
    groups.push_back(absl::StrCat("g", i / 2));
    ids.push_back(absl::StrCat("t", i));
  }
  std::vector<SplitItem> items;
  for (int i = 0; i < 4'000; ++i) items.push_back({groups[i], ids[i], false, i >= 2'001});
  const std::vector<Split> now = AssignSplits(items);
  for (SplitItem& item : items) item.fresh = false;
  const std::vector<Split> next = AssignSplits(items);
  int window = 0;
  for (int i = 0; i < 4'000; ++i) {
    window += now[i] == Split::kWindow;
    if (i < 2'002) EXPECT_NE(now[i], Split::kWindow) << "known, or beside what is known";
    EXPECT_EQ(next[i], now[i] == Split::kWindow ? Split::kTrain : now[i]);
  }
  EXPECT_NEAR(window / (1'998 * 0.85), 0.25, 0.04);
}

}  // namespace
}  // namespace fairlead::learn
