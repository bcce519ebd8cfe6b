#include "scheduler/cli/submitter.h"

#include <set>

#include "gtest/gtest.h"

namespace fairlead::cli {
namespace {

NewTask ClassTask(const std::string& text) {
  NewTask task;
  task.task.mutable_payload()->mutable_class_item()->set_text(text);
  return task;
}

std::vector<const NewTask*> Pointers(const std::vector<NewTask>& tasks) {
  std::vector<const NewTask*> pointers;
  for (const NewTask& task : tasks) pointers.push_back(&task);
  return pointers;
}

TEST(SubmitterTest, BatchesHoldEveryTaskOnceInOrderWithinBothBounds) {
  std::vector<NewTask> tasks;
  for (int i = 0; i < 1203; ++i)
    tasks.push_back(ClassTask(std::string(i % 7 == 0 ? 9000 : 10, 'x')));
  SubmitOptions options;
  options.max_bytes = 256 << 10;
  const auto batches = MakeBatches(tasks, options);
  size_t next = 0;
  for (const auto& batch : batches) {
    int64_t bytes = 0;
    EXPECT_LE(batch.size(), 500u);
    for (const size_t i : batch) {
      EXPECT_EQ(i, next++);
      bytes += static_cast<int64_t>(tasks[i].task.ByteSizeLong());
    }
    EXPECT_LE(bytes, options.max_bytes);
  }
  EXPECT_EQ(next, tasks.size());
  EXPECT_GT(batches.size(), 3u);
}

TEST(SubmitterTest, GoldIsBatchedApart) {
  std::vector<NewTask> tasks = {ClassTask("a"), ClassTask("b"), ClassTask("c")};
  tasks[1].answer.emplace().set_class_name("x");
  const auto batches = MakeBatches(tasks, SubmitOptions{});
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0], std::vector<size_t>({1}));
  EXPECT_EQ(batches[1], std::vector<size_t>({0, 2}));
}

TEST(SubmitterTest, ATaskAboveTheBoundIsABatchOfItsOwn) {
  const std::vector<NewTask> tasks = {ClassTask("a"), ClassTask(std::string(5000, 'x')),
                                      ClassTask("b")};
  SubmitOptions options;
  options.max_bytes = 1000;
  EXPECT_EQ(MakeBatches(tasks, options).size(), 3u);
}

TEST(SubmitterTest, TheSameContentHasTheSameRequestId) {
  SubmitOptions options;
  options.project = "tenants/dev/projects/p";
  const std::vector<NewTask> once = {ClassTask("a"), ClassTask("b")};
  const std::vector<NewTask> again = {ClassTask("a"), ClassTask("b")};
  const std::string id = BatchRequestId(options, 0, Pointers(once));
  EXPECT_EQ(id, BatchRequestId(options, 0, Pointers(again)));
  EXPECT_EQ(id.size(), 64u);
}

TEST(SubmitterTest, AnyDifferenceChangesTheRequestId) {
  SubmitOptions options;
  options.project = "p";
  const std::vector<NewTask> tasks = {ClassTask("a"), ClassTask("b")};
  const std::vector<NewTask> one = {ClassTask("a")};
  const std::vector<NewTask> joined = {ClassTask("ab")};
  std::set<std::string> ids = {
      BatchRequestId(options, 0, Pointers(tasks)), BatchRequestId(options, 1, Pointers(tasks)),
      BatchRequestId(options, 0, Pointers(one)), BatchRequestId(options, 0, Pointers(joined))};
  std::vector<NewTask> gold = {ClassTask("a"), ClassTask("b")};
  gold[0].answer.emplace().set_class_name("x");
  ids.insert(BatchRequestId(options, 0, Pointers(gold)));
  options.project = "q";
  ids.insert(BatchRequestId(options, 0, Pointers(tasks)));
  options.run_id = "second time";
  ids.insert(BatchRequestId(options, 0, Pointers(tasks)));
  EXPECT_EQ(ids.size(), 7u);
}

}  // namespace
}  // namespace fairlead::cli
