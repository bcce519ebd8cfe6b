#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "scheduler/cli/generate_ocr.h"
#include "scheduler/cli/generate_pairs.h"
#include "tests/common/temp_directory.h"

namespace fairlead {
namespace {

using testing::HasSubstr;

double Mean(const GrayImage& image) {
  double sum = 0;
  for (uint8_t pixel : image.pixels) sum += pixel;
  return sum / static_cast<double>(image.pixels.size());
}

// Share of pixels that differ by more than 60 from the lightest tenth's edge: ink, lines, specks.
double InkShare(const GrayImage& image) {
  std::vector<uint8_t> sorted = image.pixels;
  std::sort(sorted.begin(), sorted.end());
  const int paper = sorted[sorted.size() * 8 / 10];
  return static_cast<double>(std::count_if(sorted.begin(), sorted.end(),
                                           [&](uint8_t pixel) { return pixel < paper - 60; })) /
         static_cast<double>(sorted.size());
}

class GenerateOcrTest : public testing::TestWithParam<const char*> {
 protected:
  GenerateOcrTest() {
    options_.difficulty = GetParam();
    options_.seed = 7;
  }
  OcrGeneratorOptions options_;
};

TEST_P(GenerateOcrTest, DependsOnSeedAndIndexAlone) {
  const GeneratedImage first = GenerateOcrImage(options_, 3).value();
  ASSERT_TRUE(GenerateOcrImage(options_, 4).ok());
  const GeneratedImage again = GenerateOcrImage(options_, 3).value();
  EXPECT_EQ(first.text, again.text);
  EXPECT_EQ(first.image.pixels, again.image.pixels);
  EXPECT_NE(first.image.pixels, GenerateOcrImage(options_, 4)->image.pixels);
  options_.seed = 8;
  EXPECT_NE(first.image.pixels, GenerateOcrImage(options_, 3)->image.pixels);
}

TEST_P(GenerateOcrTest, DrawsDarkTextOnLightPaper) {
  std::set<std::string> texts;
  for (int i = 0; i < 50; ++i) {
    const GeneratedImage item = GenerateOcrImage(options_, i).value();
    EXPECT_EQ(item.image.width, 128);
    EXPECT_EQ(item.image.height, 32);
    ASSERT_EQ(item.image.pixels.size(), 128u * 32u);
    EXPECT_EQ(item.text.size(), 5u);
    EXPECT_EQ(item.text.find_first_not_of(options_.alphabet), std::string::npos);
    EXPECT_GT(Mean(item.image), 110);
    EXPECT_GT(InkShare(item.image), 0.03) << i;
    EXPECT_LT(InkShare(item.image), 0.5) << i;
    texts.insert(item.text);
  }
  EXPECT_GT(texts.size(), 45u);
}

TEST_P(GenerateOcrTest, HoldsLengthsAlphabetAndSize) {
  options_.min_length = 1;
  options_.max_length = 12;
  options_.alphabet = "aé€Z";
  options_.width = 90;
  options_.height = 64;
  std::set<size_t> lengths;
  for (int i = 0; i < 60; ++i) {
    const auto item = GenerateOcrImage(options_, i);
    ASSERT_TRUE(item.ok()) << item.status();
    EXPECT_EQ(item->image.pixels.size(), 90u * 64u);
    const size_t letters = std::count_if(item->text.begin(), item->text.end(),
                                         [](char c) { return (c & 0xC0) != 0x80; });
    lengths.insert(letters);
  }
  EXPECT_EQ(*lengths.begin(), 1u);
  EXPECT_EQ(*lengths.rbegin(), 12u);
}

INSTANTIATE_TEST_SUITE_P(Difficulties, GenerateOcrTest, testing::Values("easy", "portal", "hard"),
                         [](const auto& difficulty) { return std::string(difficulty.param); });

TEST(GenerateOcrOptionsTest, NamesTheOptionThatIsWrong) {
  const auto field = [](auto change) {
    OcrGeneratorOptions options;
    change(options);
    return FieldOf(GenerateOcrImage(options, 0).status());
  };
  EXPECT_EQ(field([](auto& o) { o.difficulty = "impossible"; }), "difficulty");
  EXPECT_EQ(field([](auto& o) { o.min_length = 0; }), "min_length");
  EXPECT_EQ(field([](auto& o) { o.max_length = 4; }), "max_length");
  EXPECT_EQ(field([](auto& o) { o.alphabet = ""; }), "alphabet");
  EXPECT_EQ(field([](auto& o) { o.alphabet = "\xFF"; }), "alphabet");
  EXPECT_EQ(field([](auto& o) { o.alphabet = " "; }), "alphabet");
  EXPECT_EQ(field([](auto& o) { o.width = 0; }), "width");
  EXPECT_EQ(field([](auto& o) { o.height = 100000; }), "height");
}

TEST(GenerateOcrOptionsTest, NamesThePackageWhenTheFontIsMissing) {
  OcrGeneratorOptions options;
  options.font_path = "/nowhere/font.ttf";
  const absl::Status status = GenerateOcrImage(options, 0).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("fonts-dejavu-core"));
}

TEST(WriteOcrFolderTest, WritesImagesAndTheirLabels) {
  const TempDirectory directory;
  const std::string folder = directory.File("set");
  OcrGeneratorOptions options;
  std::vector<int64_t> seen;
  ASSERT_TRUE(
      WriteOcrFolder(folder, options, 150, [&](int64_t done) { seen.push_back(done); }).ok());
  EXPECT_EQ(seen, (std::vector<int64_t>{100, 150}));
  std::ifstream labels(folder + "/labels.tsv");
  int index = 0;
  for (std::string line; std::getline(labels, line); ++index) {
    const std::vector<std::string> columns = absl::StrSplit(line, '\t');
    ASSERT_EQ(columns.size(), 2u);
    const GeneratedImage expected = GenerateOcrImage(options, index).value();
    EXPECT_EQ(columns[1], expected.text);
    EXPECT_EQ(DecodeGray(ReadFile(folder + "/" + columns[0]).value())->pixels,
              expected.image.pixels);
  }
  EXPECT_EQ(index, 150);
  EXPECT_EQ(ReasonOf(WriteOcrFolder(folder, options, 1)), "DATA_SET_EXISTS");
}

std::vector<std::string> WordsOf(const std::string& text) {
  return absl::StrSplit(text, absl::ByAnyChar(" .,?"), absl::SkipEmpty());
}

TEST(GeneratePairsTest, DependsOnSeedAndIndexAlone) {
  EXPECT_EQ(PairJson(GeneratePair(1, 5)), PairJson(GeneratePair(1, 5)));
  EXPECT_NE(PairJson(GeneratePair(1, 5)), PairJson(GeneratePair(1, 6)));
  EXPECT_NE(PairJson(GeneratePair(1, 5)), PairJson(GeneratePair(2, 5)));
}

TEST(GeneratePairsTest, GivesNothingAwayByLengthOrPlace) {
  constexpr int kPairs = 4000;
  double longer_wins = 0, unequal = 0, a_better = 0;
  for (int i = 0; i < kPairs; ++i) {
    const GeneratedPair pair = GeneratePair(11, i);
    EXPECT_NE(pair.response_a, pair.response_b);
    a_better += pair.a_better;
    if (pair.response_a.size() == pair.response_b.size()) continue;
    unequal += 1;
    longer_wins += pair.a_better == (pair.response_a.size() > pair.response_b.size());
  }
  EXPECT_NEAR(a_better / kPairs, 0.5, 0.03);
  EXPECT_NEAR(longer_wins / unequal, 0.5, 0.03);
}

// Naive Bayes over words: a word counts for a reply as often as it stood in chosen ones.
double AccuracyOfCountedWords(uint64_t seed, int training) {
  std::map<std::string, double> weight, chosen, rejected;
  for (int i = 0; i < training; ++i) {
    const GeneratedPair pair = GeneratePair(seed, i);
    for (const auto& word : WordsOf(pair.response_a)) (pair.a_better ? chosen : rejected)[word]++;
    for (const auto& word : WordsOf(pair.response_b)) (pair.a_better ? rejected : chosen)[word]++;
  }
  for (const auto& [word, count] : chosen) weight[word] += std::log1p(count);
  for (const auto& [word, count] : rejected) weight[word] -= std::log1p(count);
  const auto score = [&](const std::string& text) {
    double sum = 0;
    for (const auto& word : WordsOf(text)) sum += weight.count(word) ? weight[word] : 0;
    return sum;
  };
  double right = 0;
  for (int i = 0; i < 500; ++i) {
    const GeneratedPair pair = GeneratePair(seed, 1'000'000 + i);
    right += (score(pair.response_a) > score(pair.response_b)) == pair.a_better;
  }
  return right / 500;
}

TEST(GeneratePairsTest, TeachesABagOfWordsMuchButNotAll) {
  for (uint64_t seed : {1, 2, 3}) {
    const double accuracy = AccuracyOfCountedWords(seed, 180);
    RecordProperty("accuracy_" + std::to_string(seed), std::to_string(accuracy));
    EXPECT_GT(accuracy, 0.70) << "seed " << seed;
    EXPECT_LT(accuracy, 0.92) << "seed " << seed;
  }
}

TEST(GeneratePairsTest, WritesAJsonLineAPair) {
  const TempDirectory directory;
  const std::string path = directory.File("pairs.jsonl");
  ASSERT_TRUE(WritePairsJsonl(path, 5, 10, 20).ok());
  std::ifstream lines(path);
  int index = 10;
  for (std::string line; std::getline(lines, line); ++index) {
    const auto json = nlohmann::json::parse(line);
    const GeneratedPair pair = GeneratePair(5, index);
    EXPECT_EQ(json.size(), 3u);
    EXPECT_EQ(json["prompt"], pair.prompt);
    EXPECT_EQ(json["chosen"], pair.a_better ? pair.response_a : pair.response_b);
    EXPECT_EQ(json["rejected"], pair.a_better ? pair.response_b : pair.response_a);
  }
  EXPECT_EQ(index, 30);
  EXPECT_EQ(FieldOf(WritePairsJsonl(path, 5, 0, 0)), "count");
}

}  // namespace
}  // namespace fairlead
