// G5 for tasks: a Redis at maxmemory refuses new tasks and nothing else.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "scheduler/store/home_store.h"
#include "scheduler/store/registry_store.h"
#include "tests/store/task_backend.h"
#include "tests/support/status_matchers.h"

namespace fairlead::store {
namespace {

using ::fairlead::v1::Task;
using v1::Placement;

class FullRedisTest : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::RedisServerOptions options;
    options.max_memory = 16 << 20;
    backend_ = RedisBackend::Create(options);
    ASSERT_NE(backend_, nullptr);
    ASSERT_OK(store().PutProject(MakeProject(), 0));
  }
  RedisTaskStore& store() { return backend_->redis_store(); }
  static TaskRef Ref(const std::string& id) { return {kProject, id}; }
  absl::StatusOr<Submitted> Submit(const std::string& id) {
    return store().Submit(kProject, "r-" + id, "h", {MakeTask(id, backend_->NowMs(), 3)});
  }
  bool Offer(const std::string& id, const std::string& who) {
    auto valid = store().Offer(
        "s0", {{Ref(id), who, "as-" + who, "t-" + who, absl::Seconds(10), absl::Seconds(10)}});
    EXPECT_OK(valid);
    return valid.ok() && valid->at(0);
  }
  // Offered and accepted.
  void Take(const std::string& id, const std::string& who) {
    ASSERT_TRUE(Offer(id, who));
    ASSERT_OK(store().Accept(Ref(id), who, "t-" + who));
  }
  void SetMaxMemory(const std::string& bytes) {
    ASSERT_OK(backend_->pool().Call({"CONFIG", "SET", "maxmemory", bytes}));
  }
  // Writes until Redis has no room for a plain write; then the bound is drawn closer, for buffers
  // that are given back would make room for a small one.
  void Fill() {
    const std::string block(64 << 10, 'x');
    absl::Status status;
    for (int i = 0; i < 1000 && status.ok(); ++i) {
      status = backend_->pool().Call({"SET", absl::StrCat("ballast:", i), block}).status();
    }
    ASSERT_EQ(ReasonOf(status), "STORE_FULL") << status;
    SetMaxMemory("8mb");
  }

  std::unique_ptr<RedisBackend> backend_;
};

TEST_F(FullRedisTest, OnlyNewTasksAreRefused) {
  for (const char* id : {"a", "b", "c", "d", "e"}) ASSERT_OK(Submit(id));
  ASSERT_OK(store().End(Ref("e"), Task::DEAD, "broken"));
  ASSERT_NO_FATAL_FAILURE(Fill());
  const auto refused = Submit("f");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted) << refused.status();
  EXPECT_EQ(ReasonOf(refused.status()), "QUEUE_FULL");
  EXPECT_TRUE(absl::IsNotFound(store().Load(Ref("f")).status()));

  Take("a", "ann");
  ASSERT_OK(store().Annotate(Ref("a"), "ann", "t-ann", MakeAnnotation("a", "ann", "t-ann")));
  ASSERT_TRUE(Offer("a", "bob"));
  EXPECT_OK(store().Release(Ref("a"), "bob", "t-bob", Placement::DECLINED, ""));
  Take("a", "cat");
  EXPECT_OK(store().Release(Ref("a"), "cat", "t-cat", Placement::RETURNED, ""));
  Take("a", "dan");
  EXPECT_OK(store().Release(Ref("a"), "dan", "t-dan", Placement::REPORTED, "unreadable"));
  EXPECT_OK(store().Prelabel(Ref("a"), v1::PrelabelRecord()));
  const auto task = store().Load(Ref("a"));
  ASSERT_OK(task);
  ASSERT_TRUE(*store().SetWant(Ref("a"), task->version, 1));
  EXPECT_TRUE(*store().Complete(Ref("a"), task->version + 1, v1::LabelRecord()));
  EXPECT_OK(store().End(Ref("b"), Task::CANCELLED, "no need"));
  ASSERT_TRUE(Offer("c", "ann"));
  backend_->clock().Advance(absl::Hours(25));
  EXPECT_GT(*store().Release(Ref("c"), "ann", "", Placement::LAPSED, ""), 0);
  EXPECT_GT(*store().End(Ref("c"), Task::EXPIRED, "expired"), 0);
  EXPECT_GT(*store().End(Ref("d"), Task::DEAD, "broken"), 0);
  for (const char* id : {"a", "b", "c"}) {
    EXPECT_TRUE(*store().Archive(Ref(id), {false, backend_->NowMs(), 1000})) << id;
  }
  EXPECT_TRUE(*store().Archive(Ref("d"), {true, backend_->NowMs(), 1000}));
}

TEST_F(FullRedisTest, PayPresenceAndLeadershipGoOn) {
  ASSERT_NO_FATAL_FAILURE(Fill());
  HomeStore homes(&backend_->caller(), Topology());
  EXPECT_TRUE(*homes.Fold("h0", "s0", 0, 5, {{"ann", {20'000, 1}}}));
  EXPECT_OK(homes.SetPresence("ann", 2, absl::Minutes(1)));
  v1::ContractorRecord ann;
  ann.set_contractor("ann");
  EXPECT_OK(homes.PutContractor(ann));
  EXPECT_TRUE(*Lead(backend_->pool(), "one", "token", absl::Seconds(5)));
}

TEST_F(FullRedisTest, NewTasksAreTakenAgainOnceThereIsRoom) {
  ASSERT_NO_FATAL_FAILURE(Fill());
  EXPECT_EQ(ReasonOf(Submit("a").status()), "QUEUE_FULL");
  SetMaxMemory("64mb");
  EXPECT_OK(Submit("a")) << "the request id was not used up by the refusal";
}

}  // namespace
}  // namespace fairlead::store
