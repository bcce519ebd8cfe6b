#include "tests/store/task_backend.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "common/base/status.h"
#include "common/redis/functions.h"
#include "common/redis/keys.h"
#include "tests/support/strict_functions.h"

namespace fairlead::store {

std::unique_ptr<RedisBackend> RedisBackend::Create(testing::RedisServerOptions options,
                                                   bool strict) {
  auto server = testing::RedisServer::Start(std::move(options));
  EXPECT_TRUE(server.ok()) << server.status();
  if (!server.ok()) return nullptr;
  auto backend = std::make_unique<RedisBackend>();
  backend->server_ = std::move(server).value();
  backend->pool_ = std::make_unique<redis::ConnectionPool>(backend->server_->client_options());
  backend->caller_ =
      std::make_unique<SlotCaller>(backend->pool_.get(), &backend->gate_, &backend->clock_);
  backend->store_ = std::make_unique<RedisTaskStore>(backend->caller_.get(), Topology());
  const absl::Status loaded = strict ? testing::LoadStrictFunctions(*backend->pool_)
                                     : redis::LoadFunctions(*backend->pool_);
  EXPECT_TRUE(loaded.ok()) << loaded;
  const absl::Status cleared = backend->Clear();
  EXPECT_TRUE(cleared.ok()) << cleared;
  return backend;
}

absl::Status RedisBackend::Clear() {
  RETURN_IF_ERROR(pool_->Call({"FLUSHALL"}).status());
  absl::flat_hash_map<std::string, std::string> incarnations;
  for (const std::string& slot : store_->topology().AllSlots()) {
    RETURN_IF_ERROR(pool_->Call({"SET", redis::IncarnationKey(slot), "1-a"}).status());
    incarnations[slot] = "1-a";
  }
  gate_.Open(std::move(incarnations));
  clock_.Advance(kBeginning - clock_.Now());
  return absl::OkStatus();
}

TaskBackend* SharedBackend(const std::string& name) {
  static std::map<std::string, std::unique_ptr<TaskBackend>> backends;
  std::unique_ptr<TaskBackend>& backend = backends[name];
  if (backend == nullptr && name == "Memory") backend = std::make_unique<MemoryBackend>();
  if (backend == nullptr) {
    testing::RedisServerOptions options;
    options.cluster = name == "Cluster";
    backend = RedisBackend::Create(options, /*strict=*/options.cluster);
  }
  if (backend == nullptr) return nullptr;
  const absl::Status cleared = backend->Clear();
  EXPECT_TRUE(cleared.ok()) << cleared;
  return backend.get();
}

v1::ProjectRecord MakeProject(const std::string& key, int64_t backlog_cap) {
  v1::ProjectRecord project;
  project.set_project(key);
  project.mutable_settings()->set_backlog_cap(backlog_cap);
  return project;
}

v1::TaskRecord MakeTask(const std::string& id, int64_t now_ms, int32_t want) {
  v1::TaskRecord task;
  task.set_task(id);
  task.set_project(kProject);
  task.mutable_payload()->mutable_class_item()->set_text("which | letter \"\n?");
  task.set_create_ms(now_ms);
  task.set_expire_ms(now_ms + 86'400'000);
  task.set_want(want);
  return task;
}

v1::AnnotationRecord MakeAnnotation(const std::string& task, const std::string& contractor,
                                    const std::string& token, const std::string& answer) {
  v1::AnnotationRecord record;
  record.set_task(task);
  record.set_contractor(contractor);
  record.set_assignment("as-" + contractor);
  record.set_token(token);
  record.mutable_answer()->set_class_name(answer);
  record.mutable_pay()->set_contractor(contractor);
  record.mutable_pay()->set_micros(20'000);
  return record;
}

}  // namespace fairlead::store
