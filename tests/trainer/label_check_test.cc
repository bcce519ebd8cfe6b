#include "trainer/label_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "tests/trainer/portal_images.h"

namespace fairlead::trainer {
namespace {

std::string Scratch() {
  const std::string folder = testing::TempDir() + "/label-check";
  std::filesystem::create_directories(folder);
  return folder;
}

TEST(CheckLabelsTest, FindsWrongLabelsAmongRightOnes) {
  PortalImages images(31);
  std::vector<OcrExample> examples = images.DrawMany(1200, 4, 6, Split::kTrain);
  std::vector<std::string> truth;
  for (const OcrExample& example : examples) truth.push_back(example.text);
  std::set<size_t> wrong;
  for (size_t i = 7; i < examples.size(); i += 20) {
    // One digit in four wrong labels, the whole text in the others.
    if (i % 80 == 7) {
      examples[i].text[2] = examples[i].text[2] == '9' ? '0' : '9';
    } else {
      examples[i].text = truth[i - 1];
    }
    wrong.insert(i);
  }
  LabelCheckOptions options;
  options.scratch = Scratch();
  int folds = 0;
  options.on_progress = [&](int fold, const TrainProgress&) { folds = std::max(folds, fold + 1); };
  const auto doubts = CheckLabels(examples, options);
  ASSERT_TRUE(doubts.ok()) << doubts.status();
  EXPECT_EQ(folds, 2);
  size_t found = 0, corrected = 0;
  for (size_t i = 0; i < doubts->size(); ++i) {
    const LabelDoubt& doubt = (*doubts)[i];
    if (i > 0) EXPECT_LE(doubt.odds, (*doubts)[i - 1].odds);
    EXPECT_GE(doubt.odds, options.least_odds);
    EXPECT_GE(doubt.confidence, options.least_confidence);
    EXPECT_NE(doubt.read, examples[doubt.example].text);
    if (wrong.count(doubt.example) == 0) continue;
    ++found;
    corrected += doubt.read == truth[doubt.example] ? 1 : 0;
  }
  std::printf("%zu of %zu found among %zu doubts, %zu read right\n", found, wrong.size(),
              doubts->size(), corrected);
  EXPECT_GE(found, wrong.size() * 8 / 10);
  EXPECT_GE(2 * found, doubts->size());
}

TEST(CheckLabelsTest, RefusesWhatCannotBeChecked) {
  PortalImages images(32);
  const std::vector<OcrExample> few = images.DrawMany(12, 5, 5, Split::kTrain);
  LabelCheckOptions options;
  options.scratch = Scratch();
  const auto too_few = CheckLabels(few, options);
  EXPECT_TRUE(absl::IsInvalidArgument(too_few.status())) << too_few.status();
  EXPECT_NE(too_few.status().message().find("examples"), std::string::npos);
  options.folds = 1;
  const auto one_fold = CheckLabels(images.DrawMany(64, 5, 5, Split::kTrain), options);
  EXPECT_TRUE(absl::IsInvalidArgument(one_fold.status())) << one_fold.status();
  EXPECT_NE(one_fold.status().message().find("folds"), std::string::npos);
}

}  // namespace
}  // namespace fairlead::trainer
