#include "tests/support/reply_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/support/unix_socket.h"

namespace fairlead::testing {
namespace {

// The number in a line of `mark` at `*at`; moves behind it. -1 when the line is not whole.
int64_t TakeNumber(const std::string& bytes, char mark, size_t* at) {
  const size_t end = bytes.find("\r\n", *at);
  int64_t number = -1;
  if (end == std::string::npos || bytes[*at] != mark ||
      !absl::SimpleAtoi(bytes.substr(*at + 1, end - *at - 1), &number)) {
    return -1;
  }
  *at = end + 2;
  return number;
}

// Takes one command off the front; nothing when it is not whole yet.
redis::Arguments TakeCommand(std::string* bytes) {
  size_t at = 0;
  const int64_t count = TakeNumber(*bytes, '*', &at);
  redis::Arguments arguments;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t size = at < bytes->size() ? TakeNumber(*bytes, '$', &at) : -1;
    if (size < 0 || at + static_cast<size_t>(size) + 2 > bytes->size()) return {};
    arguments.push_back(bytes->substr(at, static_cast<size_t>(size)));
    at += static_cast<size_t>(size) + 2;
  }
  bytes->erase(0, at);
  return arguments;
}

}  // namespace

std::string EncodeReply(const redis::Reply& reply) {
  switch (reply.type) {
    case redis::Reply::Type::kNil:
      return "$-1\r\n";
    case redis::Reply::Type::kInteger:
      return absl::StrCat(":", reply.integer, "\r\n");
    case redis::Reply::Type::kError:
      return absl::StrCat("-", reply.text, "\r\n");
    case redis::Reply::Type::kString:
      return absl::StrCat("$", reply.text.size(), "\r\n", reply.text, "\r\n");
    case redis::Reply::Type::kArray:
      break;
  }
  std::string text = absl::StrCat("*", reply.elements.size(), "\r\n");
  for (const redis::Reply& element : reply.elements) text += EncodeReply(element);
  return text;
}

absl::StatusOr<std::unique_ptr<ReplyServer>> ReplyServer::Start(
    const std::string& path, std::function<std::string(const redis::Arguments&)> answer) {
  ASSIGN_OR_RETURN(const int listener, ListenOn(path));
  std::unique_ptr<ReplyServer> server(new ReplyServer(listener, path, std::move(answer)));
  server->thread_ = std::thread([s = server.get()] { s->Listen(); });
  return server;
}

ReplyServer::~ReplyServer() {
  stopping_.store(true);
  thread_.join();
  for (std::thread& server : servers_) server.join();
  close(listener_);
  unlink(path_.c_str());
}

void ReplyServer::Listen() {
  while (!stopping_.load()) {
    pollfd ready = {listener_, POLLIN, 0};
    if (poll(&ready, 1, kPollMs) <= 0) continue;
    const int caller = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (caller >= 0) servers_.emplace_back([this, caller] { Serve(caller); });
  }
}

void ReplyServer::Serve(int caller) {
  std::string bytes, buffer(64 << 10, '\0');
  bool open = true;
  while (open && !stopping_.load()) {
    pollfd ready = {caller, POLLIN, 0};
    if (poll(&ready, 1, kPollMs) <= 0) continue;
    const ssize_t n = recv(caller, buffer.data(), buffer.size(), 0);
    open = n > 0;
    if (open) bytes.append(buffer, 0, static_cast<size_t>(n));
    while (open) {
      const redis::Arguments command = TakeCommand(&bytes);
      if (command.empty()) break;
      open = SendAll(caller, answer_(command));
    }
  }
  close(caller);
}

}  // namespace fairlead::testing
