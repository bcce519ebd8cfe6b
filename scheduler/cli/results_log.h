// A client's own log of how its tasks ended: what "nothing acknowledged is lost" is judged by.
// Follows StreamResults in a thread of its own, resumes by cursor after every break.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "scheduler/cli/client.h"

namespace fairlead::cli {

struct TaskOutcome {
  v1::Task::State state = v1::Task::STATE_UNSPECIFIED;
  v1::Label label;  // When COMPLETED.
  absl::Time seen;  // By this client's clock.
  int times = 0;    // How often the stream named it; above 1 after a resume without a cursor only.
};

// Thread-safe.
class ResultsLog {
 public:
  // `client` must outlive it. `project`: full name.
  ResultsLog(const Client& client, std::string project, bool include_gold = false);
  ~ResultsLog();  // Breaks the stream off.

  int64_t ended() const;      // Different tasks seen to end.
  int64_t completed() const;  // Of these, with a label.
  int64_t repeated() const;   // Tasks named more than once with different ends: a server's fault.
  std::map<std::string, TaskOutcome> outcomes() const;
  // True once `count` different tasks have ended; false after `timeout`.
  bool WaitEnded(int64_t count, absl::Duration timeout) const;
  // The last failure that no retry mends (OK while there is none).
  absl::Status status() const;

 private:
  void Follow();
  // Reads until the stream ends; returns its status.
  absl::Status ReadStream(std::string& cursor);
  void Note(const v1::StreamResultsResponse& result);

  const Client& client_;
  const std::string project_;
  const bool include_gold_;
  mutable Mutex mu_;
  mutable CondVar changed_;
  std::map<std::string, TaskOutcome> outcomes_ ABSL_GUARDED_BY(mu_);
  int64_t completed_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t repeated_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mu_) = nullptr;  // Of the stream that is open.
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace fairlead::cli
