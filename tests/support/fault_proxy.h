// A unix socket in front of another that loses what a network loses: requests, and replies.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"

namespace fairlead::testing {

enum class NetFault {
  kNone,
  kLoseRequest,  // The connection breaks before the server sees anything of it.
  kLoseReply,    // The server has answered; the connection breaks before the caller hears it.
  kHoldReply,    // The server has answered; the caller waits in vain, until it gives up.
};

// Thread-safe. A request begins with the first bytes after the last reply: right for callers that
// wait for one answer, or for one pipeline's, before they send again.
class FaultProxy {
 public:
  // Listens on `path` for connections to `target`, both unix sockets.
  static absl::StatusOr<std::unique_ptr<FaultProxy>> Start(const std::string& path,
                                                           const std::string& target);
  ~FaultProxy();
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  // Asked for every request, with its first bytes; on the connections' threads, one at a time.
  void SetPlan(std::function<NetFault(absl::string_view request)> plan);

 private:
  FaultProxy(int listener, std::string path, std::string target)
      : listener_(listener), path_(std::move(path)), target_(std::move(target)) {}
  void Listen();
  void Carry(int caller);
  NetFault Decide(absl::string_view request);

  const int listener_;
  const std::string path_, target_;
  std::atomic<bool> stopping_{false};
  Mutex mu_;
  std::function<NetFault(absl::string_view)> plan_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> carriers_;  // The listening thread's, until it is joined.
  std::thread thread_;
};

}  // namespace fairlead::testing
