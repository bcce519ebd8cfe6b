// A whole Fairlead on one machine: redis-server on a unix socket, the scheduler, N workers, one
// process tree. Shared by `fairlead up`, `fairlead demo` and the end-to-end tests.
//
// Under the data directory (mode 0700):
//   redis.conf redis/        the server's settings, its append-only file
//   scheduler/               record log and blobs
//   worker-N/                a worker's scratch
//   run/                     unix sockets, PID files, the lock against a second `up`
//   log/NAME.log             what each process printed
//   operator.token worker.token redis-worker.password credentials.json      (mode 0600)
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "scheduler/cli/credentials.h"
#include "scheduler/cli/supervisor.h"

namespace fairlead::cli {

struct ClusterOptions {
  std::string data_dir = ".fairlead";
  int workers = 1;         // Worker processes, 0–64.
  int worker_threads = 0;  // Each; 0: all cores but one, divided by the workers, at least 1.
  int port = 0;            // TCP port on 127.0.0.1 beside the unix socket; 0: none.
  bool dev = false;        // Redis without an append-only file: faster, survives no kill of Redis.
  std::vector<std::string> scheduler_arguments;  // More flags of fairlead-scheduler.
  std::string tenant = "dev";
  std::string
      binary_dir;  // Where fairlead-scheduler and fairlead-worker are; empty: beside this binary.
  std::string redis_server;  // Empty: the first redis-server in $PATH.
};

// The text of redis.conf. `password`: of the Redis user "worker".
std::string RedisConfig(const ClusterOptions& options, const std::string& password);

// Names of the children, for Kill and Restart.
inline constexpr char kRedis[] = "redis";
inline constexpr char kScheduler[] = "scheduler";
std::string WorkerName(int index);  // "worker-0".

// Thread-safe after Start.
class LocalCluster {
 public:
  // Checks options, binaries and paths, takes the data directory's lock; starts nothing.
  // FAILED_PRECONDITION with the remedy (redis-server missing: which package to install; path of
  // the socket too long; another cluster on the same directory), NOT_FOUND for a missing binary.
  static absl::StatusOr<std::unique_ptr<LocalCluster>> Create(ClusterOptions options);
  ~LocalCluster();  // Stop().

  // Starts everything in order, creates tenant and tokens at the first start, and returns when the
  // scheduler's health check says SERVING and each worker has its session. The error of a process
  // that does not come up holds the end of its log.
  absl::Status Start(absl::Duration timeout = absl::Seconds(60));
  // Workers, then scheduler, then Redis; each gets SIGTERM and its time.
  void Stop();

  // One process by name. Kill is kill -9: it comes back by itself unless `stay_down`.
  absl::Status Kill(const std::string& name, bool stay_down = false);
  absl::Status StartOne(const std::string& name);
  absl::Status StopOne(const std::string& name);
  absl::Status Restart(const std::string& name);
  // Removes Redis's files while it is down, so that it comes back empty.
  absl::Status EraseRedis();

  // Redis answers and the scheduler is SERVING.
  absl::Status WaitReady(absl::Duration timeout) const;
  // At least `count` workers hold a session.
  absl::Status WaitWorkers(int count, absl::Duration timeout) const;

  // Valid after Start.
  const Credentials& credentials() const { return credentials_; }
  const std::string& address() const { return address_; }  // unix:PATH.
  std::string tcp_address() const;                         // Empty without a port.
  const ClusterOptions& options() const { return options_; }
  std::string redis_socket() const;
  Supervisor& supervisor() { return supervisor_; }

 private:
  explicit LocalCluster(ClusterOptions options);
  absl::Status Prepare();
  absl::Status LockDirectory();
  absl::Status WriteSecrets();
  absl::Status WaitRedis(absl::Time deadline) const;
  absl::Status Bootstrap(absl::Time deadline);
  void AddRedis();
  void AddScheduler();
  void AddWorker(int index);
  ChildSpec Spec(const std::string& name) const;
  std::string Path(const std::string& relative) const;

  ClusterOptions options_;
  std::string address_;
  Credentials credentials_;
  int lock_fd_ = -1;
  Supervisor supervisor_;
};

// Sends inline commands, each ended by CR LF, over a unix socket and returns the raw replies; ""
// when nobody answers within a second. For probes without a Redis client; at most 64 KiB.
std::string AskRedis(const std::string& socket_path, absl::string_view commands);
// One PING over the unix socket. UNAVAILABLE while the server is away or still loading.
absl::Status PingRedis(const std::string& socket_path);

// The path of `name` in $PATH, or NOT_FOUND.
absl::StatusOr<std::string> FindInPath(const std::string& name);

}  // namespace fairlead::cli
