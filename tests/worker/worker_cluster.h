// A worker's surroundings, all real: redis-server, a gRPC blob service, and fairlead-worker
// processes that can be killed.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/image/image.h"
#include "common/queue/redis_job_queue.h"
#include "common/redis/connection.h"
#include "fairlead/store/v1/records.pb.h"
#include "tests/support/redis_server.h"
#include "tests/worker/blob_server.h"

namespace fairlead::testing {

// Polls a condition that another process brings about; false after two minutes.
bool Eventually(const std::function<bool()>& condition);

// A small image of a text over {0, 1, 7}, drawn in strokes, with noise by `seed`.
GrayImage DrawDigits(const std::string& text, uint64_t seed);

class WorkerCluster {
 public:
  // Null when something did not start; the reason is a test failure.
  static std::unique_ptr<WorkerCluster> Create();
  ~WorkerCluster();

  // Workers started from here on find `script` (of /bin/sh) where fairlead-trainer should be.
  void ReplaceTrainer(const std::string& script);
  // Starts a worker on the scratch directory; its log is appended to Log().
  void StartWorker();
  // Sends a signal; 0 asks whether it lives.
  bool SignalWorker(int signal);
  // Waits for its end and returns its exit code, −signal when it was killed.
  int AwaitWorker();
  std::string Log() const;
  const std::string& directory() const { return directory_; }

  queue::RedisJobQueue& lane() { return *lane_; }
  BlobStore& blobs() { return blob_server_->blobs(); }
  RedisServer& redis() { return *redis_; }
  // Jobs that ended, in order, from the lane's stream.
  std::vector<store::v1::JobFinished> Finished();
  // Waits until a job has ended and returns how; a test failure when none does.
  store::v1::JobFinished AwaitFinished(const std::string& job);

  // Stores images and manifest of `count` items (of eight: six to train, one to validate, one to
  // test) and makes a job of them.
  store::v1::JobRecord MakeTrainOcr(const std::string& job, int count, int epochs);
  store::v1::JobRecord MakePrelabelOcr(const std::string& job, const std::string& model, int count);
  // Pairs whose better answer is the polite one; which side that is alternates. One in ten is in
  // the window.
  store::v1::JobRecord MakeTrainReward(const std::string& job, int count);
  store::v1::JobRecord MakePrelabelReward(const std::string& job, const std::string& model,
                                          int count);

 private:
  std::string directory_;
  std::string worker_binary_ = FAIRLEAD_WORKER_BINARY;
  std::unique_ptr<RedisServer> redis_;
  std::unique_ptr<redis::ConnectionPool> pool_;
  std::unique_ptr<queue::RedisJobQueue> lane_;
  std::unique_ptr<BlobServer> blob_server_;
  pid_t worker_ = -1;
};

}  // namespace fairlead::testing
