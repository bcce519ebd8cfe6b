#include "trainer/report/ocr_report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "trainer/data/ocr_folder.h"
#include "trainer/loop/plan.h"

namespace fairlead::trainer {
namespace {

namespace fs = std::filesystem;

OcrExample Example(const std::string& text) {
  OcrExample example;
  example.id = text + ".png";
  example.text = text;
  example.image = {4, 2, std::vector<uint8_t>(8, 200)};
  return example;
}

TEST(OcrReportTest, UpperBoundIsClopperAndPearsons) {
  EXPECT_NEAR(UpperErrorBound(0, 3000), 1 - std::pow(0.05, 1.0 / 3000), 1e-9);
  EXPECT_NEAR(UpperErrorBound(0, 10), 0.258866, 1e-6);
  EXPECT_NEAR(UpperErrorBound(1, 10), 0.394163, 1e-6);
  EXPECT_NEAR(UpperErrorBound(5, 20), 0.455582, 1e-6);
  EXPECT_EQ(UpperErrorBound(10, 10), 1);
  EXPECT_EQ(UpperErrorBound(0, 0), 1);
}

TEST(OcrReportTest, CountsErrorsByPositionAndSortsTheWorstFirst) {
  const std::vector<OcrExample> examples = {Example("123"), Example("45"), Example("6"),
                                            Example("789")};
  const std::vector<OcrPrediction> read = {{"123", 0.95}, {"5", 0.35}, {"6", 0.55}, {"719", 0.85}};
  const OcrReport report = MakeReport(examples, read);
  EXPECT_EQ(report.count, 4);
  EXPECT_EQ(report.errors, 2);
  EXPECT_DOUBLE_EQ(report.exact_match, 0.5);
  EXPECT_DOUBLE_EQ(report.character_error_rate, 2.0 / 9);
  ASSERT_EQ(report.positions.size(), 3u);
  EXPECT_EQ(report.positions[0].count, 4);
  EXPECT_EQ(report.positions[0].wrong, 1);  // The 4 was left out.
  EXPECT_EQ(report.positions[1].wrong, 1);  // 8 was read as 1.
  EXPECT_EQ(report.positions[2].wrong, 0);
  EXPECT_EQ(report.worst, (std::vector<int64_t>{3, 1, 2, 0}));
  EXPECT_NEAR(report.calibration_error, (0.05 + 0.35 + 0.45 + 0.85) / 4, 1e-12);
  EXPECT_TRUE(absl::StrContains(ReportText(report), "errors                2 of 4"));
  EXPECT_TRUE(absl::StrContains(ReportJson(report), "\"errors\":2"));
}

TEST(OcrReportTest, SheetShowsTheWorstAndEscapesTheirTexts) {
  const std::vector<OcrExample> examples = {Example("a<b"), Example("c")};
  const std::vector<OcrPrediction> read = {{"a&b", 0.9}, {"c", 0.99}};
  const auto sheet = WorstSheet(MakeReport(examples, read), examples, read, 1);
  ASSERT_TRUE(sheet.ok()) << sheet.status();
  EXPECT_TRUE(absl::StrContains(*sheet, "truth a&lt;b</text>"));
  EXPECT_TRUE(absl::StrContains(*sheet, "read a&amp;b (0.900)"));
  EXPECT_FALSE(absl::StrContains(*sheet, "truth c"));
  TrainProgress point;
  point.epoch = 1;
  point.train_loss = 0.5;
  EXPECT_TRUE(LearningCurve({point}).ok());
}

TEST(PlanTest, LabelsAndImagesDecideHeadsAndSizes) {
  std::vector<OcrExample> examples;
  for (int i = 0; i < 2000; ++i) {
    examples.push_back(Example(i % 2 == 0 ? "1234" : "12345"));
    examples.back().image.height = 32;
    examples.back().image.width = i % 10 == 9 ? 300 : 90;
  }
  auto facts = FactsOf(examples);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(HeadCandidates(*facts), (std::vector<std::string>{"ctc", "flat"}));
  EXPECT_EQ(TrialEpochs(*facts), 3);
  auto plan = MakePlan({}, *facts);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->variant, "eighth");
  EXPECT_EQ(plan->image_height, 32);
  EXPECT_EQ(plan->image_width, 320);
  EXPECT_EQ(plan->epochs, 16);
  OcrTrainOptions flat;
  flat.head = "flat";
  EXPECT_EQ(MakePlan(flat, *facts)->epochs, 24);
  // A processor reads images below 96 pixels at height 32, a GPU those below 48.
  const struct {
    int height;
    bool cuda;
    int read_at, width;
  } kHeights[] = {{32, false, 32, 320}, {64, false, 32, 160}, {95, false, 32, 128},
                  {96, false, 64, 224}, {32, true, 32, 320},  {64, true, 64, 320}};
  for (const auto& one : kHeights) {
    PlanFacts other = *facts;
    other.image_height = one.height;
    other.cuda = one.cuda;
    EXPECT_EQ(MakePlan({}, other)->image_height, one.read_at) << one.height;
    EXPECT_EQ(MakePlan({}, other)->image_width, one.width) << one.height;
  }
  facts->commonest_length_share = 0.96;  // A few labels miss a character.
  facts->train_examples = 600;
  EXPECT_EQ(HeadCandidates(*facts), (std::vector<std::string>{"flat", "column"}));
  EXPECT_EQ(TrialEpochs(*facts), 0);
  EXPECT_EQ(MakePlan({}, *facts)->variant, "tiny");
  facts->commonest_length_share = 0.5;
  facts->longest_text = 32;
  EXPECT_EQ(HeadCandidates(*facts), std::vector<std::string>{"ctc"});
  EXPECT_EQ(BestTrial({{"a", 0.1, 3}, {"b", 0.4, 9}, {"c", 0.4, 2}}).head, "c");
  EXPECT_EQ(FieldOf(FactsOf({}).status()), "examples");
}

// Folders as people hand them over.
class OcrFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "ocr_folder";
    fs::remove_all(folder_);
    fs::create_directories(folder_ + "/train/deep");
    fs::create_directories(folder_ + "/val");
    const std::string png = *EncodePng({4, 2, std::vector<uint8_t>(8, 200)});
    Write("train/a.png", png);
    Write("train/deep/b.jpeg", png);  // The content decides.
    Write("train/unnamed", png);
    Write("train/torn.png", png.substr(0, png.size() / 2));
    Write("val/c.png", png);
    Write("notes.txt", "not an image");
  }
  void TearDown() override { fs::remove_all(folder_); }
  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << bytes;
  }
  std::string folder_;
};

TEST_F(OcrFolderTest, ReadsImagesAtAnyDepthAndCountsTheRest) {
  const auto read = ReadImageFolder(folder_);
  ASSERT_TRUE(read.ok()) << read.status();
  std::vector<std::string> names;
  for (const NamedImage& one : read->images) names.push_back(one.name);
  EXPECT_EQ(names, (std::vector<std::string>{"train/a.png", "train/deep/b.jpeg", "train/unnamed",
                                             "val/c.png"}));
  ASSERT_EQ(read->set_aside.size(), 1u);
  EXPECT_EQ(read->set_aside[0].id, "train/torn.png");
  EXPECT_EQ(read->other_files, 1);
  EXPECT_TRUE(absl::IsNotFound(ReadImageFolder(folder_ + "/none").status()));
}

TEST_F(OcrFolderTest, SetsUnusableItemsAsideAndNamesBrokenLines) {
  Write("labels.tsv",
        "train/a.png\t1\ntrain/torn.png\t2\ntrain/missing.png\t3\ntrain/deep/b.jpeg\t\xff\n"
        "val/c.png\t4\ntrain/unnamed\t" +
            std::string(600, '9') + "\n");
  const auto read = ReadOcrFolder(folder_, 1);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->examples.size(), 2u);
  EXPECT_EQ(read->set_aside.size(), 4u);
  Write("labels.tsv", "train/a.png\t1\ntrain/a.png\t2\nval/c.png\t4\n");
  const auto twice = ReadOcrFolder(folder_, 1).status();
  EXPECT_TRUE(absl::StrContains(twice.message(), "labels.tsv:2")) << twice;
  Write("labels.tsv", "train/a.png 1\n");
  EXPECT_TRUE(absl::IsInvalidArgument(ReadOcrFolder(folder_, 1).status()));
  Write("labels.tsv", "val/c.png\t4\n");
  EXPECT_TRUE(absl::StrContains(ReadOcrFolder(folder_, 1).status().message(), "for training"));
  Write("labels.tsv", "train/torn.png\t4\n");
  EXPECT_TRUE(absl::StrContains(ReadOcrFolder(folder_, 1).status().message(), "no item is usable"));
}

}  // namespace
}  // namespace fairlead::trainer
