// How the agent and a job talk to each other while the job runs.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/blob/blob_store.h"
#include "fairlead/store/v1/records.pb.h"
#include "trainer/train.h"

namespace fairlead::worker {

// Shared by the thread that runs the job and the one that keeps its lease. Thread-safe.
class JobContext {
 public:
  // What the job shall do now; asked once a step or batch. An abort is never taken back.
  trainer::Command command() const { return command_.load(); }
  void Stop() {
    trainer::Command expected = trainer::Command::kContinue;
    command_.compare_exchange_strong(expected, trainer::Command::kCheckpointAndStop);
  }
  void Abort() { command_.store(trainer::Command::kAbort); }

  // Shown to operators with the next heartbeat; at most 1 KiB.
  void SetProgress(std::string text) {
    MutexLock lock(&mu_);
    progress_ = std::move(text);
  }
  std::string progress() const {
    MutexLock lock(&mu_);
    return progress_;
  }

  // CANCELLED or ABORTED when the job shall not go on: for handlers between two batches.
  absl::Status Check() const;

 private:
  std::atomic<trainer::Command> command_{trainer::Command::kContinue};
  mutable Mutex mu_;
  std::string progress_ ABSL_GUARDED_BY(mu_);
};

// The work of one kind of job. One job at a time.
class JobHandler {
 public:
  virtual ~JobHandler() = default;
  // CANCELLED after kCheckpointAndStop, ABORTED after kAbort; anything else that is not OK counts
  // as a failed attempt with its message as the job's last error.
  virtual absl::StatusOr<store::v1::JobResult> Run(const store::v1::JobRecord& job,
                                                   JobContext& context) = 0;
  // The job's result is known to the queue: what was kept for a resume may go.
  virtual void Forget(const store::v1::JobRecord& /*job*/) {}
};

// The blobs as this job may see them.
using BlobsOfJob = std::function<std::unique_ptr<BlobStore>(const store::v1::JobRecord& job)>;

}  // namespace fairlead::worker
