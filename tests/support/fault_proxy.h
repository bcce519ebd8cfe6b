// A socket in front of a server's unix socket that does what a network does: loses requests and
// replies, and lets replies wait.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace fairlead::testing {

enum class NetFault {
  kNone,
  kLoseRequest,  // The connection breaks before the server sees anything of it.
  kLoseReply,    // The server has answered; the connection breaks before the caller hears it.
  kHoldReply,    // The server has answered; the caller waits in vain, until it gives up.
  kDelayReply,   // The server has answered; the caller hears it a while later.
};

// Thread-safe. A request begins with the first bytes after the last reply: right for callers that
// wait for one answer, or for one pipeline's, before they send again.
class FaultProxy {
 public:
  // Listens on `path` for connections to `target`, both unix sockets. The target may come and go.
  static absl::StatusOr<std::unique_ptr<FaultProxy>> Start(const std::string& path,
                                                           const std::string& target);
  // The same behind a TCP port of 127.0.0.1.
  static absl::StatusOr<std::unique_ptr<FaultProxy>> StartTcp(const std::string& target);
  ~FaultProxy();
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  // As a client takes it: "unix:PATH" or "127.0.0.1:PORT".
  const std::string& address() const { return address_; }
  // Asked for every request, with its first bytes; on the connections' threads, one at a time.
  // `delay` is how long kDelayReply lets wait.
  void SetPlan(std::function<NetFault(absl::string_view request)> plan,
               absl::Duration delay = absl::Milliseconds(100));
  // Faults so far.
  int faults() const { return faults_.load(); }

 private:
  // A connection and its thread.
  struct Carrier {
    std::thread thread;
    std::atomic<bool> ended{false};
  };

  FaultProxy(int listener, std::string address, std::string target)
      : listener_(listener), address_(std::move(address)), target_(std::move(target)) {}
  static std::unique_ptr<FaultProxy> Run(int listener, std::string address, std::string target);
  void Listen();
  void Carry(int caller);
  // Passes on what has come, from the one that is ready to the other. False when the connection
  // has ended.
  bool CarryRequest(int caller, int server, NetFault* fault, bool* waiting);
  bool CarryReply(int caller, int server, NetFault fault, bool* waiting);
  NetFault Decide(absl::string_view request);
  absl::Duration Delay();

  const int listener_;
  const std::string address_, target_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> faults_{0};
  Mutex mu_;
  std::function<NetFault(absl::string_view)> plan_ ABSL_GUARDED_BY(mu_);
  absl::Duration delay_ ABSL_GUARDED_BY(mu_);
  std::list<Carrier> carriers_;  // The listening thread's, until it is joined.
  std::thread thread_;
};

}  // namespace fairlead::testing
