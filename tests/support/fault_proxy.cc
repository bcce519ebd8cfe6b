#include "tests/support/fault_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "common/base/status.h"
#include "tests/support/unix_socket.h"

namespace fairlead::testing {

absl::StatusOr<std::unique_ptr<FaultProxy>> FaultProxy::Start(const std::string& path,
                                                              const std::string& target) {
  ASSIGN_OR_RETURN(const int listener, ListenOn(path));
  std::unique_ptr<FaultProxy> proxy(new FaultProxy(listener, path, target));
  proxy->thread_ = std::thread([p = proxy.get()] { p->Listen(); });
  return proxy;
}

FaultProxy::~FaultProxy() {
  stopping_.store(true);
  thread_.join();
  for (std::thread& carrier : carriers_) carrier.join();
  close(listener_);
  unlink(path_.c_str());
}

void FaultProxy::SetPlan(std::function<NetFault(absl::string_view)> plan) {
  MutexLock lock(&mu_);
  plan_ = std::move(plan);
}

NetFault FaultProxy::Decide(absl::string_view request) {
  MutexLock lock(&mu_);
  return plan_ == nullptr ? NetFault::kNone : plan_(request);
}

void FaultProxy::Listen() {
  while (!stopping_.load()) {
    pollfd ready = {listener_, POLLIN, 0};
    if (poll(&ready, 1, kPollMs) <= 0) continue;
    const int caller = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (caller >= 0) carriers_.emplace_back([this, caller] { Carry(caller); });
  }
}

void FaultProxy::Carry(int caller) {
  const int server = ConnectTo(target_);
  bool waiting = false;  // For a reply.
  NetFault fault = NetFault::kNone;
  std::string buffer(64 << 10, '\0');
  bool open = server >= 0;
  while (open && !stopping_.load()) {
    pollfd ready[] = {{caller, POLLIN, 0}, {server, POLLIN, 0}};
    if (poll(ready, 2, kPollMs) <= 0) continue;
    if (ready[0].revents != 0) {
      const ssize_t n = recv(caller, buffer.data(), buffer.size(), 0);
      const absl::string_view bytes(buffer.data(), n > 0 ? static_cast<size_t>(n) : 0);
      if (!waiting && n > 0) fault = Decide(bytes);
      waiting = true;
      open = n > 0 && fault != NetFault::kLoseRequest && SendAll(server, bytes);
    }
    if (open && ready[1].revents != 0) {
      const ssize_t n = recv(server, buffer.data(), buffer.size(), 0);
      const absl::string_view bytes(buffer.data(), n > 0 ? static_cast<size_t>(n) : 0);
      open = n > 0 && fault != NetFault::kLoseReply;
      if (open && fault != NetFault::kHoldReply) {
        open = SendAll(caller, bytes);
        waiting = false;
      }
    }
  }
  if (server >= 0) close(server);
  close(caller);
}

}  // namespace fairlead::testing
