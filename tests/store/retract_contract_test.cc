// How every TaskStore takes gold back: the twin in memory, a real Redis, and a cluster node with
// functions that may touch declared keys only.
#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/store/task_backend.h"
#include "tests/support/status_matchers.h"

namespace fairlead::store {
namespace {

using ::fairlead::v1::Task;

class RetractContractTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    backend_ = SharedBackend(GetParam());
    ASSERT_NE(backend_, nullptr);
    ASSERT_OK(store().PutProject(MakeProject(), 0));
    label_.set_retracted("the price is 12.80");
  }

  TaskStore& store() { return backend_->store(); }
  static TaskRef Ref(const std::string& id) { return {kProject, id}; }
  void Submit(const std::string& id) {
    ASSERT_OK(store().Submit(kProject, "r-" + id, "h", {MakeTask(id, backend_->NowMs(), 1)}));
  }
  // Has one answer.
  void Answer(const std::string& id) {
    Submit(id);
    ASSERT_OK(store().Offer(store().topology().ShardOf(kProject),
                            {{Ref(id), "ana", "as", "t", absl::Minutes(1), absl::Minutes(1)}}));
    ASSERT_OK(store().Accept(Ref(id), "ana", "t"));
    ASSERT_OK(store().Annotate(Ref(id), "ana", "t", MakeAnnotation(id, "ana", "t")));
  }

  TaskBackend* backend_ = nullptr;
  v1::LabelRecord label_;
};

TEST_P(RetractContractTest, TheLabelOfAnEndedTaskSaysWhy) {
  Answer("a");
  EXPECT_EQ(ReasonOf(store().Retract(Ref("a"), label_).status()), "STATE_NOT_TERMINAL");
  EXPECT_TRUE(absl::IsNotFound(store().Retract({"rival/letters", "a"}, label_).status()));
  const auto before = store().Load(Ref("a"));
  ASSERT_OK(before);
  ASSERT_OK(store().Complete(Ref("a"), before->version, v1::LabelRecord()));
  ASSERT_OK(store().Retract(Ref("a"), label_));
  const auto after = store().Load(Ref("a"));
  ASSERT_OK(after);
  EXPECT_EQ(after->label.retracted(), "the price is 12.80");
  EXPECT_EQ(after->state, Task::COMPLETED);
  EXPECT_EQ(after->version, before->version + 1) << "its end's alone";
  EXPECT_EQ(after->annotations.size(), 1u) << "work and pay stay";
  EXPECT_EQ(store().Counts(kProject)->completed, 1);
}

TEST_P(RetractContractTest, ATaskLeavesOnceTheLogHoldsItAndIsStillRetracted) {
  Submit("a");
  ASSERT_OK(store().End(Ref("a"), Task::CANCELLED, "wrong"));
  const auto seq = store().Retract(Ref("a"), label_);
  ASSERT_OK(seq);
  EXPECT_FALSE(store().Archive(Ref("a"), {false, backend_->NowMs(), *seq - 1}).value());
  EXPECT_TRUE(store().Archive(Ref("a"), {false, backend_->NowMs(), *seq}).value());
  EXPECT_GT(store().Retract(Ref("a"), label_).value(), *seq);
  EXPECT_TRUE(absl::IsNotFound(store().Load(Ref("a")).status()));
}

TEST_P(RetractContractTest, ADeadLetterThatWasRetractedStaysDead) {
  Submit("a");
  ASSERT_OK(store().End(Ref("a"), Task::DEAD, "broken"));
  ASSERT_OK(store().Retract(Ref("a"), label_));
  const auto replayed = store().Replay(Ref("a"), backend_->clock().Now() + absl::Hours(1));
  EXPECT_EQ(ReasonOf(replayed.status()), "STATE_RETRACTED") << "nobody is judged by it again";
  EXPECT_EQ(store().Load(Ref("a"))->state, Task::DEAD);
}

INSTANTIATE_TEST_SUITE_P(Stores, RetractContractTest,
                         ::testing::Values("Memory", "Redis", "Cluster"),
                         [](const auto& param) { return param.param; });

}  // namespace
}  // namespace fairlead::store
