// Keeps a handful of child processes alive: starts, watches, restarts with backoff, stops in order.
// All children are forked by one thread that lives as long as the supervisor, so that they are told
// (SIGTERM, by PR_SET_PDEATHSIG) when this process dies without a word.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace fairlead::cli {

struct ChildSpec {
  std::string name;               // "redis", "scheduler", "worker-0".
  std::vector<std::string> argv;  // argv[0] is the path of the binary.
  std::string log_file;           // stdout and stderr are appended here.
  std::string pid_file;
  absl::Duration stop_timeout = absl::Seconds(20);  // From SIGTERM to SIGKILL.
  bool restart = true;                              // After a death that nobody asked for.
};

// Thread-safe. The methods that wait do so without holding the lock.
class Supervisor {
 public:
  Supervisor();
  ~Supervisor();  // Stops what still runs, last started first.
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Makes a child known; starts nothing. A known name gets the new arguments at its next start.
  void Add(const ChildSpec& spec);
  // Starts it and returns once it is forked; OK when it runs already. NOT_FOUND for an unknown name
  // or a missing binary.
  absl::Status Start(const std::string& name);
  // SIGTERM, then SIGKILL after its stop_timeout; returns once it is gone. It stays down.
  absl::Status Stop(const std::string& name);
  // kill -9; returns once it is gone. It comes back by itself unless `stay_down`.
  absl::Status Kill(const std::string& name, bool stay_down = false);

  // The process id, or 0 while it is down.
  pid_t Pid(const std::string& name) const;
  // Times it was started again after a death that nobody asked for.
  int Restarts(const std::string& name) const;
  // FAILED_PRECONDITION with the end of its log when it keeps dying soon after its start.
  absl::Status CheckAlive(const std::string& name) const;

 private:
  struct Child {
    ChildSpec spec;
    bool wanted = false;
    pid_t pid = 0;
    int restarts = 0;
    int failures_in_a_row = 0;  // Deaths soon after the start that nobody asked for.
    bool kill_asked = false;    // By Kill(): no failure of the child's.
    absl::Time started = absl::InfinitePast();
    absl::Time next_start = absl::InfinitePast();
    std::string last_end;  // "signal 9", "exit code 1".
  };

  void Watch();  // The watching thread.
  void Reap(Child& child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Spawn(Child& child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Waits until the child is gone or `timeout` passed; true when gone.
  bool AwaitDown(const std::string& name, absl::Duration timeout);

  mutable Mutex mu_;
  CondVar changed_;
  std::map<std::string, Child> children_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> start_order_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread watcher_;
};

}  // namespace fairlead::cli
