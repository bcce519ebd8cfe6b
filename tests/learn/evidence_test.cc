#include "scheduler/learn/evidence.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace fairlead::learn {
namespace {

using store::v1::DatasetManifest;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

void AddText(DatasetManifest& manifest, const std::string& id, const std::string& text,
             DatasetManifest::Split split) {
  DatasetManifest::Item& item = *manifest.add_items();
  item.set_id(id);
  item.mutable_payload()->mutable_image_text()->set_blob("b");
  item.mutable_answer()->set_text(text);
  item.set_split(split);
  item.set_group("receipt");
}

void AddReading(store::v1::Evaluation& evaluation, const std::string& id) {
  store::v1::Evaluation::Item& item = *evaluation.add_items();
  item.set_id(id);
  item.mutable_version()->set_right(1);
  item.mutable_champion()->set_loss(2.5);
  item.mutable_champion()->set_confidence(0.25);
}

TEST(EvidenceTest, JudgedItemsAreSortedIntoFrozenAndWindow) {
  DatasetManifest manifest;
  AddText(manifest, "a", "1é1", DatasetManifest::TEST);
  AddText(manifest, "b", "22", DatasetManifest::WINDOW);
  AddText(manifest, "unread", "3", DatasetManifest::TEST);
  AddText(manifest, "d", "4", DatasetManifest::TRAIN);
  store::v1::Evaluation evaluation;
  AddReading(evaluation, "b");
  AddReading(evaluation, "a");
  auto evidence = EvidenceOf(manifest, evaluation);
  ASSERT_OK(evidence);
  ASSERT_EQ(evidence->frozen.size(), 1u);
  ASSERT_EQ(evidence->prequential.size(), 1u);
  const PairedItem& a = evidence->frozen[0];
  EXPECT_THAT(a.slices, UnorderedElementsAre("character 1", "character é", "length 3"));
  EXPECT_EQ(a.challenger_right, 1);
  EXPECT_EQ(a.champion_right, 0);
  EXPECT_EQ(a.champion_loss, 2.5);
  EXPECT_EQ(a.champion_confidence, 0.25);
  EXPECT_EQ(a.group, evidence->prequential[0].group) << "one receipt is one piece of evidence";
}

TEST(EvidenceTest, AReadingOfWhatIsNotJudgedIsRefused) {
  DatasetManifest manifest;
  AddText(manifest, "a", "1", DatasetManifest::TEST);
  AddText(manifest, "d", "4", DatasetManifest::TRAIN);
  for (const char* id : {"d", "unknown"}) {
    store::v1::Evaluation evaluation;
    AddReading(evaluation, id);
    EXPECT_THAT(EvidenceOf(manifest, evaluation).status().message(),
                HasSubstr("is no judged item"));
  }
  store::v1::Evaluation twice;
  AddReading(twice, "a");
  AddReading(twice, "a");
  EXPECT_FALSE(EvidenceOf(manifest, twice).ok());
}

TEST(EvidenceTest, PairsAreSlicedByWhetherTheLongerOneIsBetter) {
  DatasetManifest manifest;
  DatasetManifest::Item& item = *manifest.add_items();
  item.set_id("p");
  item.mutable_payload()->mutable_pair()->set_response_a("short");
  item.mutable_payload()->mutable_pair()->set_response_b("much longer");
  item.mutable_answer()->set_preferred(fairlead::v1::Answer::SIDE_A);
  item.set_split(DatasetManifest::TEST);
  store::v1::Evaluation evaluation;
  AddReading(evaluation, "p");
  auto evidence = EvidenceOf(manifest, evaluation);
  ASSERT_OK(evidence);
  EXPECT_THAT(evidence->frozen.at(0).slices, UnorderedElementsAre("shorter is better"));
}

}  // namespace
}  // namespace fairlead::learn
