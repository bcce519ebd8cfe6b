#include "scheduler/learn/registry_steps.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fairlead::learn {
namespace {

using fairlead::v1::ModelVersion;
using testing::HasSubstr;

store::v1::JobFinished Finished(int number, double exact_match) {
  store::v1::JobFinished finished;
  finished.mutable_job()->set_job(absl::StrCat("train-ocr-", number));
  finished.mutable_job()->set_version(absl::StrCat("tenants/t/models/m/versions/", number));
  finished.mutable_result()->set_artefact_blob(absl::StrCat("blob-", number));
  (*finished.mutable_result()->mutable_metrics())["test.exact_match"] = exact_match;
  (*finished.mutable_result()->mutable_metrics())["test.count"] = 100;
  (*finished.mutable_result()->mutable_metrics())["load_test"] = 1;
  return finished;
}

// `gained` items that only the challenger reads, of 100.
RoundEvidence Evidence(int gained, const std::string& champion_blob) {
  RoundEvidence evidence;
  evidence.champion_blob = champion_blob;
  for (uint64_t i = 0; i < 100; ++i) {
    PairedItem item;
    item.group = i;
    item.challenger_right = 1;
    item.champion_right = static_cast<int>(i) < gained ? 0 : 1;
    item.champion_loss = item.champion_right == 1 ? 0.05 : 2;
    item.challenger_loss = 0.05;
    item.champion_confidence = item.challenger_confidence = 0.95;
    evidence.paired.frozen.push_back(item);
  }
  return evidence;
}

store::v1::ModelRecord WithChampion() {
  store::v1::ModelRecord model;
  model.set_kind(fairlead::v1::TASK_KIND_IMAGE_TEXT);
  EXPECT_TRUE(Register(Finished(1, 0.8), std::nullopt, 1, model));
  return model;
}

TEST(RegistryStepsTest, TheFirstVersionServesOnceItIsAboveItsFloor) {
  store::v1::ModelRecord model;
  EXPECT_FALSE(Register(Finished(1, 0.0), std::nullopt, 1, model));
  EXPECT_EQ(model.champion(), "");
  EXPECT_TRUE(Register(Finished(2, 0.3), std::nullopt, 2, model));
  EXPECT_EQ(model.champion(), "tenants/t/models/m/versions/2");
}

TEST(RegistryStepsTest, WhatDoesNotLoadIsRefusedHoweverGoodItReads) {
  store::v1::ModelRecord model = WithChampion();
  store::v1::JobFinished torn = Finished(2, 0.99);
  (*torn.mutable_result()->mutable_metrics())["load_test"] = 0;
  (*torn.mutable_result()->mutable_metrics())["load_test.signal"] = 11;
  EXPECT_FALSE(Register(torn, Evidence(30, "blob-1"), 2, model));
  EXPECT_EQ(model.versions(1).state(), ModelVersion::REFUSED);
  EXPECT_THAT(model.versions(1).gate_decision(), HasSubstr("by signal 11"));
  EXPECT_EQ(model.champion(), "tenants/t/models/m/versions/1");
}

TEST(RegistryStepsTest, ALaterVersionHasToBeBetterItemByItem) {
  store::v1::ModelRecord model = WithChampion();
  EXPECT_FALSE(Register(Finished(2, 0.84), Evidence(4, "blob-1"), 2, model)) << "p = 1/16";
  EXPECT_EQ(model.versions(1).state(), ModelVersion::REFUSED);
  EXPECT_THAT(model.versions(1).gate_decision(), HasSubstr("4 gained, 0 lost of 100 items"));
  EXPECT_TRUE(Register(Finished(3, 0.85), Evidence(5, "blob-1"), 3, model)) << "p = 1/32";
  EXPECT_EQ(model.champion(), "tenants/t/models/m/versions/3");
  EXPECT_EQ(model.previous(), "tenants/t/models/m/versions/1");
  EXPECT_EQ(model.versions(0).state(), ModelVersion::RETIRED);
}

TEST(RegistryStepsTest, WithoutReadingsBesideThatChampionNothingIsPromoted) {
  store::v1::ModelRecord model = WithChampion();
  EXPECT_FALSE(Register(Finished(2, 0.99), std::nullopt, 2, model));
  EXPECT_THAT(model.versions(1).gate_decision(), HasSubstr("sent no readings"));
  EXPECT_FALSE(Register(Finished(3, 0.99), Evidence(30, "blob-0"), 3, model));
  EXPECT_THAT(model.versions(2).gate_decision(), HasSubstr("judged beside another model"));
  EXPECT_EQ(model.champion(), "tenants/t/models/m/versions/1");
}

TEST(RegistryStepsTest, ARebuildIsOfTheSameInputsAndOneAtATime) {
  store::v1::ModelRecord model = WithChampion();
  model.set_model("t/m");
  EXPECT_TRUE(Register(Finished(2, 0.9), Evidence(20, "blob-1"), 2, model));
  const std::string name = model.versions(1).version();
  const auto job = BeginRebuild(name, {"manifest-2", 3}, 100, model);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->kind(), "train-ocr");
  EXPECT_EQ(job->tenant(), "t");
  EXPECT_EQ(job->manifest_blob(), "manifest-2");
  EXPECT_EQ(job->champion_blob(), "blob-1") << "the parent, not today's champion";
  EXPECT_EQ(BeginRebuild(name, {"manifest", 0}, 200, model)->job(), job->job())
      << "it runs already";

  store::v1::JobFinished finished;
  *finished.mutable_job() = *job;
  finished.mutable_result()->set_artefact_blob("blob-2");
  EXPECT_TRUE(EndRebuild(finished, 300, model));
  EXPECT_EQ(model.versions(1).rebuild().blob(), model.versions(1).blob());
  EXPECT_EQ(model.versions(1).rebuild().deleted_items(), 3);
  EXPECT_EQ(model.versions_size(), 2) << "no version comes of it";
  EXPECT_NE(BeginRebuild(name, {"manifest", 0}, 400, model)->job(), job->job())
      << "asked again, trained again";
  EXPECT_FALSE(EndRebuild(finished, 500, model)) << "that one was of before";
  EXPECT_FALSE(job->params().contains("fresh"));
  (*model.mutable_versions(0)->mutable_metrics())["fresh"] = 1;
  EXPECT_TRUE(BeginRebuild(model.versions(0).version(), {"manifest-1", 0}, 600, model)
                  ->params()
                  .contains("fresh"))
      << "from the beginning, as it was";
  EXPECT_FALSE(BeginRebuild("tenants/t/models/m/versions/9", {"manifest", 0}, 1, model).ok());
}

}  // namespace
}  // namespace fairlead::learn
