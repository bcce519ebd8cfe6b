// A unix socket that speaks Redis' protocol and answers each command as a test says: what a client
// makes of replies that no Redis gives.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "common/redis/connection.h"

namespace fairlead::testing {

// A reply as Redis writes it on the wire (RESP 2).
std::string EncodeReply(const redis::Reply& reply);

// Thread-safe.
class ReplyServer {
 public:
  // Listens on `path`. `answer` returns the bytes to send for a command; it is called on the
  // connections' threads, several at a time.
  static absl::StatusOr<std::unique_ptr<ReplyServer>> Start(
      const std::string& path, std::function<std::string(const redis::Arguments&)> answer);
  ~ReplyServer();
  ReplyServer(const ReplyServer&) = delete;
  ReplyServer& operator=(const ReplyServer&) = delete;

 private:
  ReplyServer(int listener, std::string path,
              std::function<std::string(const redis::Arguments&)> answer)
      : listener_(listener), path_(std::move(path)), answer_(std::move(answer)) {}
  void Listen();
  void Serve(int caller);

  const int listener_;
  const std::string path_;
  const std::function<std::string(const redis::Arguments&)> answer_;
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> servers_;  // The listening thread's, until it is joined.
  std::thread thread_;
};

}  // namespace fairlead::testing
