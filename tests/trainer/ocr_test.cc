#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/hash.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "tests/trainer/portal_images.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/train.h"

namespace fairlead::trainer {
namespace {

namespace fs = std::filesystem;

std::string Scratch(const std::string& name) {
  return (fs::path(testing::TempDir()) / name).string();
}

std::string DigestOfFile(const std::string& path) { return Sha256Hex(*ReadWholeFile(path)); }

std::vector<OcrExample> SmallSet() {
  PortalImages images(3);
  auto examples = images.DrawMany(40, 3, 4, Split::kTrain);
  for (const auto& one : images.DrawMany(24, 3, 4, Split::kValidation)) examples.push_back(one);
  return examples;
}

OcrTrainOptions ShortRun() {
  OcrTrainOptions options;
  options.epochs = 4;
  options.batch = 8;
  return options;
}

TEST(TrainOcrTest, ResumesToTheSameBitsFromAnyStop) {
  const auto examples = SmallSet();
  const std::string unbroken = Scratch("unbroken.safetensors");
  ASSERT_TRUE(TrainOcr(examples, ShortRun(), unbroken).ok());
  for (const int stop_at : {1, 5, 7, 13, 19}) {
    OcrTrainOptions options = ShortRun();
    options.checkpoint_directory = Scratch("stops");
    fs::remove_all(options.checkpoint_directory);
    int asked = 0;
    options.command = [&] {
      return asked++ == stop_at ? Command::kCheckpointAndStop : Command::kContinue;
    };
    const std::string path = Scratch("resumed.safetensors");
    EXPECT_TRUE(absl::IsCancelled(TrainOcr(examples, options, path).status()));
    const auto result = TrainOcr(examples, options, path);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(DigestOfFile(path), DigestOfFile(unbroken)) << "stopped before step " << stop_at;
  }
}

class BadCheckpointTest : public ::testing::TestWithParam<std::string> {};

TEST_P(BadCheckpointTest, IsPassedOverAndTheBitsAreTheSame) {
  const auto examples = SmallSet();
  const std::string unbroken = Scratch("unbroken2.safetensors");
  ASSERT_TRUE(TrainOcr(examples, ShortRun(), unbroken).ok());
  OcrTrainOptions options = ShortRun();
  options.checkpoint_directory = Scratch("kills");
  options.checkpoint_seconds = 0;  // Every step.
  fs::remove_all(options.checkpoint_directory);
  int asked = 0;
  options.command = [&] { return asked++ == 11 ? Command::kAbort : Command::kContinue; };
  const std::string path = Scratch("killed.safetensors");
  EXPECT_TRUE(absl::IsAborted(TrainOcr(examples, options, path).status()));
  std::vector<std::string> kept;
  for (const auto& entry : fs::directory_iterator(options.checkpoint_directory)) {
    kept.push_back(entry.path().string());
  }
  ASSERT_EQ(kept.size(), 2u);
  const std::string newest = std::max(kept[0], kept[1]), older = std::min(kept[0], kept[1]);
  if (GetParam() == "torn") fs::resize_file(newest, fs::file_size(newest) / 2);
  if (GetParam() == "swapped") fs::copy_file(older, newest, fs::copy_options::overwrite_existing);
  ASSERT_TRUE(TrainOcr(examples, options, path).ok());
  EXPECT_EQ(DigestOfFile(path), DigestOfFile(unbroken));
}

INSTANTIATE_TEST_SUITE_P(AfterAKill, BadCheckpointTest, ::testing::Values("torn", "swapped"));

TEST(TrainOcrTest, OtherSeedsGiveOtherModels) {
  const auto examples = SmallSet();
  OcrTrainOptions options = ShortRun();
  options.epochs = 1;
  ASSERT_TRUE(TrainOcr(examples, options, Scratch("s1.safetensors")).ok());
  options.seed = 2;
  ASSERT_TRUE(TrainOcr(examples, options, Scratch("s2.safetensors")).ok());
  EXPECT_NE(DigestOfFile(Scratch("s1.safetensors")), DigestOfFile(Scratch("s2.safetensors")));
}

TEST(TrainOcrTest, RefusesUnusableInput) {
  const std::string path = Scratch("x.safetensors");
  EXPECT_TRUE(absl::IsInvalidArgument(TrainOcr({}, {}, path).status()));
  auto examples = SmallSet();
  OcrTrainOptions options = ShortRun();
  options.variant = "huge";
  EXPECT_TRUE(absl::IsInvalidArgument(TrainOcr(examples, options, path).status()));
  options = ShortRun();
  options.warm_start = Scratch("missing.safetensors");
  EXPECT_TRUE(absl::IsNotFound(TrainOcr(examples, options, path).status()));
  examples[2].image.pixels.pop_back();
  EXPECT_TRUE(absl::IsInvalidArgument(TrainOcr(examples, ShortRun(), path).status()));
}

TEST(TrainOcrTest, PartsOfABatchGiveTheSameTraining) {
  const auto examples = SmallSet();
  OcrTrainOptions options = ShortRun();
  const auto whole = TrainOcr(examples, options, Scratch("whole.safetensors"));
  options.micro_batch = 3;
  const auto parts = TrainOcr(examples, options, Scratch("parts.safetensors"));
  ASSERT_TRUE(whole.ok() && parts.ok()) << whole.status() << parts.status();
  EXPECT_EQ(parts->metrics.at("micro_batch"), 3);
  EXPECT_NEAR(parts->metrics.at("train.loss"), whole->metrics.at("train.loss"), 1e-2);
}

TEST(TrainOcrTest, EveryHeadTrains) {
  const auto examples = SmallSet();
  for (const char* head : {"column", "flat", "gappos", "ctc"}) {
    OcrTrainOptions options = ShortRun();
    options.head = head;
    options.epochs = 6;
    const auto result = TrainOcr(examples, options, Scratch("head.safetensors"));
    ASSERT_TRUE(result.ok()) << head << result.status();
    EXPECT_EQ(result->head, head);
    EXPECT_LT(result->curve.back().train_loss, result->curve.front().train_loss) << head;
    EXPECT_TRUE(OcrModel::Load(result->model_path).ok()) << head;
  }
}

TEST(TrainOcrTest, PoisonedExamplesAreNamedOrOutlived) {
  const std::string path = Scratch("poison.safetensors");
  auto examples = SmallSet();
  examples[3].weight = std::nan("");
  const absl::Status weight = TrainOcr(examples, ShortRun(), path).status();
  EXPECT_EQ(FieldOf(weight), "weight");
  EXPECT_NE(weight.message().find("examples[3]"), absl::string_view::npos) << weight;
  examples = SmallSet();
  examples[4].text = "1\xff";
  EXPECT_TRUE(absl::IsInvalidArgument(TrainOcr(examples, ShortRun(), path).status()));
  for (OcrExample& one : examples) one.split = Split::kTest;
  EXPECT_EQ(FieldOf(TrainOcr(examples, ShortRun(), path).status()), "examples");
  // What only the validation split has cannot be learnt: it counts as misread.
  examples = SmallSet();
  const auto sound = TrainOcr(examples, ShortRun(), path);
  examples[41].text = "é";
  examples[42].text = "0123456789";
  const auto poisoned = TrainOcr(examples, ShortRun(), path);
  ASSERT_TRUE(sound.ok() && poisoned.ok()) << poisoned.status();
  EXPECT_EQ(poisoned->validation.count, sound->validation.count);
  EXPECT_LE(poisoned->validation.exact_match, sound->validation.exact_match);
}

TEST(TrainOcrTest, TextsTooLongForTheHeadAreSetAsideAndCounted) {
  auto examples = SmallSet();
  OcrTrainOptions options = ShortRun();
  options.head = "ctc";
  options.variant = "tiny";
  options.image_width = 128;  // 32 columns.
  const std::string path = Scratch("long.safetensors");
  const auto sound = TrainOcr(examples, options, path);
  ASSERT_TRUE(sound.ok()) << sound.status();
  EXPECT_EQ(sound->metrics.at("train.set_aside"), 0);
  examples[5].text = std::string(40, '7');
  examples[6].text = "Q" + std::string(17, '8');  // Needs a blank between equal neighbours.
  examples[7].text = std::string(16, '9');        // Just fits.
  examples[50].text = std::string(40, '7');       // In validation: misread, as everything unknown.
  const auto result = TrainOcr(examples, options, path);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->set_aside.size(), 2u);
  EXPECT_EQ(result->set_aside[0].id, examples[5].id);
  EXPECT_NE(result->set_aside[0].reason.find("at most 32"), std::string::npos);
  EXPECT_EQ(result->set_aside[1].id, examples[6].id);
  EXPECT_NE(result->set_aside[1].reason.find("needs 34 columns"), std::string::npos);
  EXPECT_EQ(result->metrics.at("train.set_aside"), 2);
  EXPECT_EQ(result->metrics.at("train.count"), sound->metrics.at("train.count") - 2);
  EXPECT_EQ(result->validation.count, sound->validation.count);
  // Nothing is learnt of them, their letter included.
  const auto file = TensorFile::Read(path);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->Metadata("config")->find('Q'), std::string::npos);
  for (OcrExample& one : examples) one.text = std::string(40, '7');
  const absl::Status none = TrainOcr(examples, options, path).status();
  EXPECT_EQ(FieldOf(none), "examples") << none;
  EXPECT_NE(none.message().find("at most 32"), absl::string_view::npos) << none;
}

TEST(TrainOcrTest, HeadsThatCountPositionsSetAsideWhatNoModelFileHolds) {
  auto examples = SmallSet();
  examples[5].text = std::string(513, '7');
  OcrTrainOptions options = ShortRun();
  options.head = "column";
  options.epochs = 1;
  const auto result = TrainOcr(examples, options, Scratch("long2.safetensors"));
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->set_aside.size(), 1u);
  EXPECT_NE(result->set_aside[0].reason.find("at most 512"), std::string::npos);
}

TEST(TrainOcrTest, HeadsAreTriedWhereThereAreEnoughExamples) {
  PortalImages images(13);
  auto examples = images.DrawMany(1500, 2, 2, Split::kTrain);
  for (const auto& one : images.DrawMany(30, 2, 2, Split::kValidation)) examples.push_back(one);
  OcrTrainOptions options;
  options.variant = "tiny";
  options.image_height = 16;
  options.image_width = 64;
  options.epochs = 1;
  options.try_heads = true;
  options.checkpoint_directory = Scratch("trials");
  fs::remove_all(options.checkpoint_directory);
  std::vector<HeadTrial> trials;
  options.on_trial = [&](const HeadTrial& trial) { trials.push_back(trial); };
  int64_t asked = 0;
  options.command = [&] {  // Stops in the run proper.
    return trials.size() == 2 && ++asked == 20 ? Command::kCheckpointAndStop : Command::kContinue;
  };
  const std::string path = Scratch("tried.safetensors");
  EXPECT_TRUE(absl::IsCancelled(TrainOcr(examples, options, path).status()));
  ASSERT_EQ(trials.size(), 2u);
  EXPECT_NE(trials[0].head, trials[1].head);
  const HeadTrial& better = trials[0].exact_match >= trials[1].exact_match ? trials[0] : trials[1];
  // A choice once made stands, and is not made again.
  const auto resumed = TrainOcr(examples, options, path);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(trials.size(), 2u);
  EXPECT_EQ(resumed->head, better.head);
  options.head = better.head;
  options.checkpoint_directory.clear();
  options.command = nullptr;
  ASSERT_TRUE(TrainOcr(examples, options, Scratch("given.safetensors")).ok());
  EXPECT_EQ(DigestOfFile(path), DigestOfFile(Scratch("given.safetensors")));
}

TEST(OcrModelTest, RefusesTornFilesAndReadsSoundOnes) {
  const auto examples = SmallSet();
  OcrTrainOptions options = ShortRun();
  options.epochs = 1;
  const std::string path = Scratch("model.safetensors"), torn = Scratch("torn.safetensors");
  ASSERT_TRUE(TrainOcr(examples, options, path).ok());
  const std::string whole = *ReadWholeFile(path);
  PhiloxStream stream(9, 0, 0, 0);
  for (int i = 0; i < 40; ++i) {
    std::string bytes = whole;
    if (i % 2 == 0) {
      bytes.resize(stream.Below(static_cast<uint32_t>(whole.size())));
    } else {
      bytes[stream.Below(static_cast<uint32_t>(whole.size()))] ^= 1 << stream.Below(8);
    }
    ASSERT_TRUE(WriteFileAtomically(torn, bytes).ok());
    EXPECT_EQ(OcrModel::Load(torn).status().code(), absl::StatusCode::kDataLoss) << i;
  }
  const auto model = OcrModel::Load(path);
  ASSERT_TRUE(model.ok()) << model.status();
  const auto predictions = (*model)->Predict({examples[0].image, examples[1].image});
  ASSERT_TRUE(predictions.ok());
  EXPECT_EQ(predictions->size(), 2u);
  EXPECT_FALSE((*model)->Predict({GrayImage{}}).ok());
}

// The claim that automatic settings rest on: one cold round on one core reads most numbers, and a
// warm round with more examples nearly all.
TEST(TrainOcrTest, AutomaticSettingsReadNumbersFromFewExamples) {
  PortalImages images(21);
  auto examples = images.DrawMany(600, 4, 6, Split::kTrain);
  for (const auto& one : images.DrawMany(100, 4, 6, Split::kValidation)) examples.push_back(one);
  for (const auto& one : images.DrawMany(400, 4, 6, Split::kTest)) examples.push_back(one);
  const std::string cold_path = Scratch("cold.safetensors");
  const auto cold = TrainOcr(examples, {}, cold_path);
  ASSERT_TRUE(cold.ok()) << cold.status();
  for (const auto& one : images.DrawMany(600, 4, 6, Split::kTrain)) examples.push_back(one);
  OcrTrainOptions options;
  options.warm_start = cold_path;
  const auto warm = TrainOcr(examples, options, Scratch("warm.safetensors"));
  ASSERT_TRUE(warm.ok()) << warm.status();
  std::printf("cold: %.3f exact, ECE %.3f, %.1f s, %.0f images/s; warm: %.3f exact, %.1f s\n",
              cold->test->exact_match, cold->test->calibration_error, cold->metrics.at("seconds"),
              cold->metrics.at("images_per_second"), warm->test->exact_match,
              warm->metrics.at("seconds"));
  EXPECT_GE(cold->test->exact_match, 0.80);
  EXPECT_GE(warm->test->exact_match, 0.93);
  const auto model = OcrModel::Load(cold_path);
  ASSERT_TRUE(model.ok());
  std::vector<OcrExample> test;
  for (const auto& one : examples) {
    if (one.split == Split::kTest) test.push_back(one);
  }
  EXPECT_EQ((*model)->Evaluate(test)->exact_match, cold->test->exact_match);
}

}  // namespace
}  // namespace fairlead::trainer
