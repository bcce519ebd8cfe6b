// The scheduler process: builds the parts, starts the loops, serves, drains.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/redis/connection.h"
#include "scheduler/operate/archiver.h"
#include "scheduler/store/slots.h"

namespace fairlead::scheduler {

struct ServerOptions {
  redis::RedisOptions redis;
  std::string data_directory;       // Record log and blobs.
  std::vector<std::string> listen;  // "unix:/path" or "host:port"; at least one.
  std::string health_listen;    // Optional: health only, for probes that speak no TLS or tokens.
  std::string metrics_address;  // Optional: "host:port" of GET /metrics.
  std::string bootstrap_operator_token_file;  // Optional.
  std::string replica = "scheduler-0";
  store::Topology topology;
  operate::Retention retention;  // Of ended tasks in Redis.
  bool dev_mode = false;         // Allows a Redis without AOF; says so.

  // FIELD_INVALID naming the setting.
  absl::Status Validate() const;
};

class Server {
 public:
  // Opens the record log, recovers Redis, starts serving. Fails with the setting that is wrong
  // (G10): FAILED_PRECONDITION for a Redis that evicts or does not persist, a log in use, a bad
  // address. While Redis merely cannot be reached it starts, serves UNAVAILABLE and recovers alone.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);
  virtual ~Server() = default;

  // Stops taking calls, ends the streams, gives leadership up, closes the log. Idempotent.
  virtual void Shutdown() = 0;
};

}  // namespace fairlead::scheduler
