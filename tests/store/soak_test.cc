// Memory: what a long run leaves behind in Redis is what a short one does.
//   FAIRLEAD_SOAK_TASKS=200000  tasks through submit → label → retention (the default)
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/redis/keys.h"
#include "scheduler/operate/archiver.h"
#include "tests/store/shard_check.h"
#include "tests/store/task_backend.h"
#include "tests/support/status_matchers.h"

namespace fairlead::store {
namespace {

constexpr int kBatch = 500;          // Tasks a submit.
constexpr int kWarmUp = 10'000;      // Tasks.
constexpr int64_t kSlack = 4 << 20;  // Bytes; or a tenth, whichever is more.

class SoakTest : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::RedisServerOptions options;
    options.append_only = false;
    backend_ = RedisBackend::Create(options);
    ASSERT_NE(backend_, nullptr);
    ASSERT_OK(backend_->store().PutProject(MakeProject(kProject, 1'000'000), 0));
  }

  absl::Status LabelOne(const std::string& id) {
    RedisTaskStore& store = backend_->redis_store();
    const TaskRef ref = {kProject, id};
    const std::string who = absl::StrCat("c", serial_ % 50), token = absl::StrCat("t", serial_);
    RETURN_IF_ERROR(
        store.Offer("s0", {{ref, who, "as" + token, token, absl::Hours(1), absl::Hours(1)}})
            .status());
    RETURN_IF_ERROR(store.Accept(ref, who, token).status());
    RETURN_IF_ERROR(store.Annotate(ref, who, token, MakeAnnotation(id, who, token)).status());
    v1::LabelRecord label;
    label.set_task(id);
    return store.Complete(ref, 2, label).status();
  }
  // `count` tasks from submit to label, then everything that time takes away.
  absl::Status Run(int count) {
    for (int done = 0; done < count; done += kBatch) {
      std::vector<v1::TaskRecord> tasks;
      for (int i = 0; i < kBatch; ++i) {
        tasks.push_back(MakeTask(absl::StrCat("task-", ++serial_), backend_->NowMs(), 1));
      }
      RETURN_IF_ERROR(
          backend_->store().Submit(kProject, absl::StrCat("r", serial_), "hash", tasks).status());
      for (const v1::TaskRecord& task : tasks) RETURN_IF_ERROR(LabelOne(task.task()));
      // What the follower does behind the log.
      RETURN_IF_ERROR(backend_->pool()
                          .Call({"XTRIM", redis::EventsKey("s0"), "MAXLEN", "~", "10000"})
                          .status());
    }
    backend_->clock().Advance(absl::Hours(24 * 8));
    operate::Archiver archiver(
        &backend_->redis_store(), [](absl::string_view) { return UINT64_MAX >> 12; },
        operate::Retention());
    absl::StatusOr<int> archived = 1;
    while (archived.ok() && *archived > 0) archived = archiver.RunOnce(backend_->clock().Now());
    RETURN_IF_ERROR(archived.status());
    return ForgetRequests();
  }
  // Their TTL of a week runs by the server's clock, which is not the simulated one.
  absl::Status ForgetRequests() {
    ASSIGN_OR_RETURN(redis::Reply keys,
                     backend_->pool().Call({"KEYS", redis::RequestKey("s0", kProject, "*")}));
    for (const redis::Reply& key : keys.elements) {
      ASSIGN_OR_RETURN(redis::Reply ttl, backend_->pool().Call({"PTTL", key.text}));
      if (ttl.AsInt() <= 0) return absl::InternalError(key.text + " would stay for ever");
      RETURN_IF_ERROR(backend_->pool().Call({"DEL", key.text}).status());
    }
    return absl::OkStatus();
  }
  int64_t UsedMemory() {
    backend_->pool().Call({"MEMORY", "PURGE"}).IgnoreError();
    auto text = backend_->pool().Call({"INFO", "memory"});
    EXPECT_OK(text);
    int64_t used = 0;
    for (absl::string_view line : absl::StrSplit(text->text, "\r\n")) {
      if (absl::ConsumePrefix(&line, "used_memory:") && !absl::SimpleAtoi(line, &used)) return -1;
    }
    return used;
  }

  std::unique_ptr<RedisBackend> backend_;
  int serial_ = 0;
};

TEST_F(SoakTest, MemoryIsBoundedByOpenWorkNotByHistory) {
  const char* text = std::getenv("FAIRLEAD_SOAK_TASKS");
  int tasks = 200'000;
  ASSERT_TRUE(text == nullptr || absl::SimpleAtoi(text, &tasks)) << text;
  ASSERT_OK(Run(kWarmUp));
  const int64_t before = UsedMemory();
  ASSERT_OK(Run(tasks));
  const int64_t after = UsedMemory();
  std::printf("used_memory %lld after %d tasks, %lld after %d more\n",
              static_cast<long long>(before), kWarmUp, static_cast<long long>(after), tasks);
  EXPECT_LE(after, before + std::max(kSlack, before / 10));
  EXPECT_OK(CheckShard(backend_->pool(), "s0"));
}

}  // namespace
}  // namespace fairlead::store
