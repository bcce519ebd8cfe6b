// A real redis-server for tests: on a unix socket in a temporary directory of its own, without a
// TCP port (a cluster node needs one and gets a free one). It dies with the test.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/redis/connection.h"

namespace fairlead::testing {

struct RedisServerOptions {
  bool append_only = true;
  int64_t max_memory = 0;  // Bytes; 0 sets no limit.
  bool cluster = false;    // One node that owns all slots: refuses calls across slots.
  std::vector<std::string>
      arguments;  // Appended to the command line, e.g. {"--maxmemory-policy", …}.
};

// Not thread-safe. Start it on a thread that outlives it: the server is killed with that thread.
class RedisServer {
 public:
  // Returns once the server answers PING. UNAVAILABLE with the server's log when it does not within
  // ten seconds, NOT_FOUND when there is no redis-server on PATH.
  static absl::StatusOr<std::unique_ptr<RedisServer>> Start(RedisServerOptions options = {});
  // Kills the server and removes its directory.
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  // SIGKILL, waited for; its files stay.
  void Kill();
  // Starts it again after Kill(), with its files or without.
  absl::Status Restart(bool keep_files);

  std::string address() const { return "unix:" + socket_path(); }
  std::string socket_path() const { return directory_ + "/redis.sock"; }
  const std::string& directory() const { return directory_; }
  redis::RedisOptions client_options() const;

 private:
  RedisServer(RedisServerOptions options, std::string directory);
  absl::Status Launch();
  absl::Status AwaitReady();
  absl::Status FormCluster();

  const RedisServerOptions options_;
  const std::string directory_;
  pid_t pid_ = -1;
};

}  // namespace fairlead::testing
