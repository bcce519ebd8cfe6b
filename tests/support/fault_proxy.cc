#include "tests/support/fault_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "tests/support/unix_socket.h"

namespace fairlead::testing {
namespace {

constexpr size_t kBufferBytes = 16 << 10;
constexpr absl::string_view kUnix = "unix:";

// What can be read now; "" when the other side has ended.
std::string Receive(int fd) {
  std::string bytes(kBufferBytes, '\0');
  const ssize_t n = recv(fd, bytes.data(), bytes.size(), 0);
  bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return bytes;
}

}  // namespace

std::unique_ptr<FaultProxy> FaultProxy::Run(int listener, std::string address, std::string target) {
  std::unique_ptr<FaultProxy> proxy(
      new FaultProxy(listener, std::move(address), std::move(target)));
  proxy->thread_ = std::thread([p = proxy.get()] { p->Listen(); });
  return proxy;
}

absl::StatusOr<std::unique_ptr<FaultProxy>> FaultProxy::Start(const std::string& path,
                                                              const std::string& target) {
  ASSIGN_OR_RETURN(const int listener, ListenOn(path));
  return Run(listener, absl::StrCat(kUnix, path), target);
}

absl::StatusOr<std::unique_ptr<FaultProxy>> FaultProxy::StartTcp(const std::string& target) {
  int port = 0;
  ASSIGN_OR_RETURN(const int listener, ListenOnLoopback(&port));
  return Run(listener, absl::StrCat("127.0.0.1:", port), target);
}

FaultProxy::~FaultProxy() {
  stopping_.store(true);
  thread_.join();
  for (Carrier& carrier : carriers_) carrier.thread.join();
  close(listener_);
  absl::string_view path = address_;
  if (absl::ConsumePrefix(&path, kUnix)) unlink(std::string(path).c_str());
}

void FaultProxy::SetPlan(std::function<NetFault(absl::string_view)> plan, absl::Duration delay) {
  MutexLock lock(&mu_);
  plan_ = std::move(plan);
  delay_ = delay;
}

NetFault FaultProxy::Decide(absl::string_view request) {
  MutexLock lock(&mu_);
  const NetFault fault = plan_ == nullptr ? NetFault::kNone : plan_(request);
  if (fault != NetFault::kNone) ++faults_;
  return fault;
}

absl::Duration FaultProxy::Delay() {
  MutexLock lock(&mu_);
  return delay_;
}

void FaultProxy::Listen() {
  while (!stopping_.load()) {
    for (auto it = carriers_.begin(); it != carriers_.end();) {
      if (!it->ended.load()) {
        ++it;
        continue;
      }
      it->thread.join();
      it = carriers_.erase(it);
    }
    pollfd ready = {listener_, POLLIN, 0};
    if (poll(&ready, 1, kPollMs) <= 0) continue;
    const int caller = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (caller < 0) continue;
    Carrier& carrier = carriers_.emplace_back();
    carrier.thread = std::thread([this, caller, &carrier] {
      Carry(caller);
      carrier.ended.store(true);
    });
  }
}

bool FaultProxy::CarryRequest(int caller, int server, NetFault* fault, bool* waiting) {
  const std::string bytes = Receive(caller);
  if (bytes.empty()) return false;
  if (!*waiting) *fault = Decide(bytes);
  *waiting = true;
  return *fault != NetFault::kLoseRequest && SendAll(server, bytes);
}

bool FaultProxy::CarryReply(int caller, int server, NetFault fault, bool* waiting) {
  const std::string bytes = Receive(server);
  if (bytes.empty() || fault == NetFault::kLoseReply) return false;
  if (fault == NetFault::kHoldReply) return true;
  if (fault == NetFault::kDelayReply && *waiting) {
    poll(nullptr, 0, static_cast<int>(absl::ToInt64Milliseconds(Delay())));
  }
  *waiting = false;
  return SendAll(caller, bytes);
}

void FaultProxy::Carry(int caller) {
  const int server = ConnectTo(target_);
  bool waiting = false;  // For a reply.
  NetFault fault = NetFault::kNone;
  bool open = server >= 0;
  while (open && !stopping_.load()) {
    pollfd ready[] = {{caller, POLLIN, 0}, {server, POLLIN, 0}};
    if (poll(ready, 2, kPollMs) <= 0) continue;
    if (ready[0].revents != 0) open = CarryRequest(caller, server, &fault, &waiting);
    if (open && ready[1].revents != 0) open = CarryReply(caller, server, fault, &waiting);
  }
  if (server >= 0) close(server);
  close(caller);
}

}  // namespace fairlead::testing
