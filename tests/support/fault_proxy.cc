#include "tests/support/fault_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fairlead::testing {
namespace {

constexpr int kPollMs = 20;  // How soon a thread notices that the proxy ends.

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("too long for a socket: ", path));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

int Connect(const std::string& path) {
  const absl::StatusOr<sockaddr_un> address = AddressOf(path);
  if (!address.ok()) return -1;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) == 0) return fd;
  close(fd);
  return -1;
}

bool SendAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<FaultProxy>> FaultProxy::Start(const std::string& path,
                                                              const std::string& target) {
  const absl::StatusOr<sockaddr_un> address = AddressOf(path);
  if (!address.ok()) return address.status();
  unlink(path.c_str());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0 ||
      listen(fd, 64) != 0) {
    close(fd);
    return absl::UnavailableError(absl::StrCat("cannot listen on ", path));
  }
  std::unique_ptr<FaultProxy> proxy(new FaultProxy(fd, path, target));
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
  const int server = Connect(target_);
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
