// A task store to test against: the twin in memory or the functions in a real Redis, under a
// simulated clock.
#pragma once

#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/redis/connection.h"
#include "scheduler/store/gate.h"
#include "scheduler/store/memory_task_store.h"
#include "scheduler/store/redis_task_store.h"
#include "scheduler/store/slot_caller.h"
#include "tests/support/redis_server.h"

namespace fairlead::store {

class TaskBackend {
 public:
  virtual ~TaskBackend() = default;
  virtual TaskStore& store() = 0;
  SimulatedClock& clock() { return clock_; }
  // As new: empty, the clock at its beginning.
  virtual absl::Status Clear() = 0;
  int64_t NowMs() const { return absl::ToUnixMillis(clock_.Now()); }

 protected:
  static constexpr absl::Time kBeginning = absl::FromUnixSeconds(1'700'000'000);
  SimulatedClock clock_{kBeginning};
};

class MemoryBackend final : public TaskBackend {
 public:
  TaskStore& store() override { return *store_; }
  absl::Status Clear() override {
    store_ = std::make_unique<MemoryTaskStore>(&clock_, Topology());
    clock_.Advance(kBeginning - clock_.Now());
    return absl::OkStatus();
  }

 private:
  std::unique_ptr<MemoryTaskStore> store_ = std::make_unique<MemoryTaskStore>(&clock_, Topology());
};

class RedisBackend final : public TaskBackend {
 public:
  // `strict`: functions that touch an undeclared key fail. Null when there is no server; the reason
  // is reported as a test failure.
  static std::unique_ptr<RedisBackend> Create(testing::RedisServerOptions options = {},
                                              bool strict = false);

  TaskStore& store() override { return *store_; }
  RedisTaskStore& redis_store() { return *store_; }
  const SlotCaller& caller() const { return *caller_; }
  redis::ConnectionPool& pool() { return *pool_; }
  Gate& gate() { return gate_; }
  testing::RedisServer& server() { return *server_; }
  // Its functions stay; every slot is open under incarnation "1-a".
  absl::Status Clear() override;

 private:
  std::unique_ptr<testing::RedisServer> server_;
  std::unique_ptr<redis::ConnectionPool> pool_;
  Gate gate_;
  std::unique_ptr<SlotCaller> caller_;
  std::unique_ptr<RedisTaskStore> store_;
};

// By name: "Memory", "Redis", or "Cluster": a node that refuses calls across slots, with functions
// that refuse undeclared keys. One a name, cleared: a server is not started for every test. Null
// when there is none.
TaskBackend* SharedBackend(const std::string& name);

inline constexpr char kProject[] = "acme/letters";

v1::ProjectRecord MakeProject(const std::string& key = kProject, int64_t backlog_cap = 1000);
v1::TaskRecord MakeTask(const std::string& id, int64_t now_ms, int32_t want = 2);
v1::AnnotationRecord MakeAnnotation(const std::string& task, const std::string& contractor,
                                    const std::string& token, const std::string& answer = "a");

}  // namespace fairlead::store
