#include "scheduler/learn/manifests.h"

#include <map>
#include <memory>
#include <string>

#include "common/record_log/record_log.h"
#include "gtest/gtest.h"
#include "tests/common/temp_directory.h"

namespace fairlead::learn {
namespace {

using store::v1::DatasetManifest;

class ManifestTest : public testing::Test {
 protected:
  void SetUp() override {
    RecordLogOptions options;
    options.directory = directory_.File("log");
    auto log = RecordLog::Open(options);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
    index_ = std::make_unique<store::LogIndex>(log_.get());
    project_.set_project("t/p");
  }

  void Apply(const store::v1::Event& event) {
    const auto position = log_->Append(event.SerializeAsString());
    ASSERT_TRUE(position.ok()) << position.status();
    index_->Apply(event, *position);
  }

  void Submit(const std::string& task, const std::string& checks = "") {
    store::v1::Event event;
    event.set_project("t/p");
    store::v1::TaskRecord& record = *event.mutable_tasks_submitted()->add_tasks();
    record.set_task(task);
    record.set_project("t/p");
    record.set_group("g-" + task);
    record.set_checks(checks);
    record.mutable_payload()->mutable_image_text()->set_blob("image-" + task);
    Apply(event);
  }

  void Complete(const std::string& task, const std::string& text, double confidence,
                int answers = 2) {
    store::v1::Event event;
    event.set_project("t/p");
    event.set_key(task);
    event.mutable_completed()->set_task(task);
    event.mutable_completed()->mutable_answer()->set_text(text);
    event.mutable_completed()->set_confidence(confidence);
    event.mutable_completed()->set_answers(answers);
    Apply(event);
  }

  void Delete(const std::string& task) {
    store::v1::Event event;
    event.set_project("t/p");
    event.set_key(task);
    event.mutable_erased()->set_contractor("ana");
    Apply(event);
  }

  std::map<std::string, DatasetManifest::Item> Items() {
    const auto manifest = BuildDataset(project_, *index_, nullptr);
    EXPECT_TRUE(manifest.ok()) << manifest.status();
    std::map<std::string, DatasetManifest::Item> items;
    for (const DatasetManifest::Item& item : manifest->items()) items[item.id()] = item;
    return items;
  }

  TempDirectory directory_;
  std::unique_ptr<RecordLog> log_;
  std::unique_ptr<store::LogIndex> index_;
  store::v1::ProjectRecord project_;
};

TEST_F(ManifestTest, ALabelStandsUntilItsCheckIsDone) {
  Submit("a");
  Submit("b");
  Complete("a", "12.30", 0.9);
  Complete("b", "7.00", 0.9);
  Submit("c", /*checks=*/"a");
  auto items = Items();
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items["a"].answer().text(), "12.30");
  const DatasetManifest::Split split = items["a"].split();
  Complete("c", "12.80", 0.99);
  items = Items();
  ASSERT_EQ(items.size(), 2u) << "a check is no item of its own";
  EXPECT_EQ(items["a"].answer().text(), "12.80");
  EXPECT_EQ(items["a"].weight(), 0.99);
  EXPECT_EQ(items["a"].payload().image_text().blob(), "image-a");
  EXPECT_EQ(items["a"].split(), split) << "items do not move between splits";
  EXPECT_EQ(items["b"].answer().text(), "7.00");
}

TEST_F(ManifestTest, WhatAModelDecidedAloneTeachesNothing) {
  Submit("a");
  Submit("b");
  Complete("a", "12.30", 0.99, /*answers=*/0);
  Complete("b", "7.00", 0.9);
  EXPECT_EQ(Items().size(), 1u);
  EXPECT_EQ(index_->LabelCount("t/p"), 1);
}

TEST_F(ManifestTest, RetractedGoldIsGone) {
  for (const char* task : {"a", "b"}) {
    Submit(task);
    Complete(task, "12.30", 1);
  }
  auto before = BuildDataset(project_, *index_, nullptr);
  ASSERT_TRUE(before.ok());
  store::v1::Event event;
  event.set_project("t/p");
  event.set_key("a");
  event.mutable_gold_retracted()->set_retracted("12.80");
  Apply(event);
  EXPECT_EQ(Items().count("a"), 0u);
  EXPECT_EQ(Items().size(), 1u);
  EXPECT_EQ(RemoveDeleted(*index_, *before).value(), 1);
}

TEST_F(ManifestTest, WhatAnAnswerWasDeletedToIsGone) {
  for (const char* task : {"a", "b", "c"}) {
    Submit(task);
    Complete(task, "12.30", 0.9);
  }
  Submit("d", /*checks=*/"b");
  Complete("d", "12.80", 0.99);
  auto before = BuildDataset(project_, *index_, nullptr);
  ASSERT_TRUE(before.ok());
  ASSERT_EQ(before->items_size(), 3);
  Delete("a");
  Delete("d");
  const auto items = Items();
  ASSERT_EQ(items.size(), 1u) << "neither the check's label nor the one it replaced";
  EXPECT_EQ(items.begin()->first, "c");
  EXPECT_EQ(RemoveDeleted(*index_, *before).value(), 2);
  ASSERT_EQ(before->items_size(), 1);
  EXPECT_EQ(before->items(0).id(), "c");
}

}  // namespace
}  // namespace fairlead::learn
