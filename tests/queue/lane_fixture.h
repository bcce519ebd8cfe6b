// A lane to test against: the one in memory or the one in a real Redis, under a simulated clock.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/queue/job_queue.h"
#include "common/queue/memory_job_queue.h"
#include "common/queue/redis_job_queue.h"
#include "common/redis/connection.h"
#include "tests/support/redis_server.h"

namespace fairlead::queue {

class Lane {
 public:
  virtual ~Lane() = default;
  virtual JobQueue& queue() = 0;
  // What the lane has told about jobs that ended, in order, since the beginning.
  virtual std::vector<store::v1::JobFinished> Finished() = 0;
  // What it has told since this was last called.
  virtual std::vector<store::v1::JobFinished> NewlyFinished() = 0;
  SimulatedClock& clock() { return clock_; }

 protected:
  static absl::Time Start() { return absl::FromUnixSeconds(1'700'000'000); }
  SimulatedClock clock_{Start()};
};

class MemoryLane final : public Lane {
 public:
  JobQueue& queue() override { return queue_; }
  std::vector<store::v1::JobFinished> Finished() override { return finished_; }
  std::vector<store::v1::JobFinished> NewlyFinished() override {
    const auto from = finished_.begin() + static_cast<int64_t>(seen_);
    seen_ = finished_.size();
    return {from, finished_.end()};
  }

 private:
  std::vector<store::v1::JobFinished> finished_;
  size_t seen_ = 0;
  MemoryJobQueue queue_{&clock_, /*seed=*/7,
                        [this](const store::v1::JobFinished& one) { finished_.push_back(one); }};
};

class RedisLane final : public Lane {
 public:
  // Null when there is no server; the reason is reported as a test failure.
  static std::unique_ptr<RedisLane> Create(testing::RedisServerOptions options = {});
  // An empty lane on the one server in cluster mode that all tests of a program share: such a
  // server takes seconds to start.
  static std::unique_ptr<RedisLane> CreateInCluster();

  JobQueue& queue() override { return *queue_; }
  RedisJobQueue& redis_queue() { return *queue_; }
  redis::ConnectionPool& pool() { return *pool_; }
  testing::RedisServer& server() { return *server_; }
  std::vector<store::v1::JobFinished> Finished() override;
  std::vector<store::v1::JobFinished> NewlyFinished() override;
  // An empty lane under a client that knows nothing, at the time when it was made.
  absl::Status Clear();

 private:
  static std::unique_ptr<RedisLane> On(std::shared_ptr<testing::RedisServer> server);
  std::vector<store::v1::JobFinished> EventsBehind(int64_t seq);

  int64_t seen_ = 0;  // The last event of NewlyFinished.
  std::shared_ptr<testing::RedisServer> server_;
  std::unique_ptr<redis::ConnectionPool> pool_;
  std::unique_ptr<RedisJobQueue> queue_;
};

inline store::v1::JobRecord MakeJob(const std::string& id, const std::string& kind = "train-ocr") {
  store::v1::JobRecord job;
  job.set_job(id);
  job.set_kind(kind);
  job.set_tenant("acme");
  (*job.mutable_params())["note"] = "a|b \"c\"\n";
  return job;
}

inline TickRequest MakeTick(const std::string& session, int want = 0) {
  TickRequest request;
  request.session = session;
  request.description = "{\"host\":\"test\"}";
  request.kinds = {"train-ocr", "prelabel-ocr"};
  request.want = want;
  return request;
}

}  // namespace fairlead::queue
