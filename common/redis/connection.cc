#include "common/redis/connection.h"

#include <poll.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <limits>
#include <mutex>
#include <utility>

#include <hiredis/hiredis.h>
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/redis/call_combiner.h"

namespace fairlead::redis {
namespace {

constexpr absl::string_view kUnixPrefix = "unix:";

struct HostPort {
  std::string host;
  int port = 0;
};

// Splits at the last colon, so that "[::1]:6379" and "::1:6379" both work.
bool ParseHostPort(absl::string_view address, HostPort* out) {
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos || colon == 0) return false;
  absl::string_view host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  out->host = std::string(host);
  return absl::SimpleAtoi(address.substr(colon + 1), &out->port) && out->port > 0 &&
         out->port < 65536;
}

Reply Convert(const redisReply& reply) {
  Reply out;
  switch (reply.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      out.type = Reply::Type::kString;
      out.text.assign(reply.str, reply.len);
      break;
    case REDIS_REPLY_ERROR:
      out.type = Reply::Type::kError;
      out.text.assign(reply.str, reply.len);
      break;
    case REDIS_REPLY_INTEGER:
      out.type = Reply::Type::kInteger;
      out.integer = reply.integer;
      break;
    case REDIS_REPLY_ARRAY:
      out.type = Reply::Type::kArray;
      out.elements.reserve(reply.elements);
      for (size_t i = 0; i < reply.elements; ++i)
        out.elements.push_back(Convert(*reply.element[i]));
      break;
    default:
      break;
  }
  return out;
}

timeval TimevalOf(absl::Duration duration) {
  return absl::ToTimeval(std::max(duration, absl::Milliseconds(1)));
}

// hiredis writes without MSG_NOSIGNAL; a server that goes away must be a Status, not a signal.
void IgnoreSigpipe() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction current = {};
    if (sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) {
      signal(SIGPIPE, SIG_IGN);
    }
  });
}

}  // namespace

absl::Status StatusOfError(const std::string& text, absl::string_view command) {
  const std::string message = absl::StrCat("redis refused ", command, ": ", text);
  if (absl::StartsWith(text, "OOM")) {
    return Error(absl::StatusCode::kResourceExhausted, "STORE_FULL", message);
  }
  for (absl::string_view passing : {"LOADING", "READONLY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN",
                                    "BUSY", "NOREPLICAS", "MISCONF"}) {
    if (absl::StartsWith(text, passing)) {
      return Error(absl::StatusCode::kUnavailable, "STORE_UNAVAILABLE", message);
    }
  }
  if (absl::StartsWith(text, "ERR Function not found")) {
    return Error(absl::StatusCode::kFailedPrecondition, "STORE_SCRIPT", message);
  }
  return Error(absl::StatusCode::kInternal, "STORE_ERROR", message);
}

absl::Status RedisOptions::Validate() const {
  HostPort parsed;
  if (absl::StartsWith(address, kUnixPrefix)) {
    if (address.size() == kUnixPrefix.size()) {
      return FieldError("address", "names no socket; write unix:/path/to/socket");
    }
  } else if (!ParseHostPort(address, &parsed)) {
    return FieldError("address", "must be unix:/path/to/socket or host:port");
  }
  if (connect_timeout <= absl::ZeroDuration()) {
    return FieldError("connect_timeout", "must be more than zero");
  }
  if (command_timeout <= absl::ZeroDuration()) {
    return FieldError("command_timeout", "must be more than zero");
  }
  if (!user.empty() && password.empty()) {
    return FieldError("password", "must be given with a user");
  }
  return absl::OkStatus();
}

std::string Reply::AsText() const {
  if (type == Type::kString) return text;
  if (type == Type::kInteger) return absl::StrCat(integer);
  return "";
}

int64_t Reply::AsInt() const {
  if (type == Type::kInteger) return integer;
  int64_t value = 0;
  if (type == Type::kString && absl::SimpleAtoi(text, &value)) return value;
  return 0;
}

struct Connection::Context {
  explicit Context(redisContext* opened) : redis(opened) {}
  ~Context() {
    if (redis != nullptr) redisFree(redis);
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  redisContext* const redis;
};

Connection::Connection(RedisOptions options) : options_(std::move(options)) { IgnoreSigpipe(); }

Connection::~Connection() = default;

void Connection::Drop() { context_.reset(); }

absl::Status Connection::Fail(absl::string_view doing) {
  std::string why = "out of memory";
  if (context_ != nullptr && context_->redis != nullptr) why = context_->redis->errstr;
  Drop();
  return Error(absl::StatusCode::kUnavailable, "STORE_UNAVAILABLE",
               absl::StrCat("cannot ", doing, " redis at ", options_.address, ": ", why));
}

absl::StatusOr<Reply> Connection::Read() {
  void* raw = nullptr;
  if (redisGetReply(context_->redis, &raw) != REDIS_OK || raw == nullptr) return Fail("read from");
  auto* reply = static_cast<redisReply*>(raw);
  Reply converted = Convert(*reply);
  freeReplyObject(reply);
  return converted;
}

absl::Status Connection::EnsureConnected() {
  if (context_ != nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(options_.Validate());
  const timeval timeout = TimevalOf(options_.connect_timeout);
  redisContext* opened = nullptr;
  HostPort parsed;
  if (absl::StartsWith(options_.address, kUnixPrefix)) {
    opened = redisConnectUnixWithTimeout(options_.address.c_str() + kUnixPrefix.size(), timeout);
  } else {
    ParseHostPort(options_.address, &parsed);
    opened = redisConnectWithTimeout(parsed.host.c_str(), parsed.port, timeout);
    // So that a wait without end notices a server that vanished.
    if (opened != nullptr && opened->err == 0) redisEnableKeepAlive(opened);
  }
  context_ = std::make_unique<Context>(opened);
  if (opened == nullptr || opened->err != 0) return Fail("connect to");
  if (redisSetTimeout(opened, TimevalOf(options_.command_timeout)) != REDIS_OK) {
    return Fail("set a timeout on");
  }
  return Introduce();
}

absl::Status Connection::Introduce() {
  if (!options_.password.empty()) {
    Arguments auth = {"AUTH"};
    if (!options_.user.empty()) auth.push_back(options_.user);
    auth.push_back(options_.password);
    ASSIGN_OR_RETURN(const std::vector<Reply> replies, Exchange({&auth}));
    if (replies[0].type == Reply::Type::kError) {
      Drop();
      return StatusOfError(replies[0].text, "AUTH");
    }
  }
  run_id_.clear();
  const Arguments info = {"INFO", "server"};
  ASSIGN_OR_RETURN(const std::vector<Reply> replies, Exchange({&info}));
  for (absl::string_view line : absl::StrSplit(replies[0].AsText(), absl::ByAnyChar("\r\n"))) {
    if (absl::ConsumePrefix(&line, "run_id:")) run_id_ = std::string(line);
  }
  return absl::OkStatus();
}

absl::Status Connection::Append(const Arguments& arguments) {
  std::vector<const char*> pointers;
  std::vector<size_t> sizes;
  pointers.reserve(arguments.size());
  sizes.reserve(arguments.size());
  for (const std::string& argument : arguments) {
    pointers.push_back(argument.data());
    sizes.push_back(argument.size());
  }
  if (redisAppendCommandArgv(context_->redis, static_cast<int>(arguments.size()), pointers.data(),
                             sizes.data()) != REDIS_OK) {
    return Fail("write to");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Reply>> Connection::Exchange(
    const std::vector<const Arguments*>& commands) {
  for (const Arguments* arguments : commands) RETURN_IF_ERROR(Append(*arguments));
  std::vector<Reply> replies;
  replies.reserve(commands.size());
  for (size_t i = 0; i < commands.size(); ++i) {
    ASSIGN_OR_RETURN(Reply reply, Read());
    replies.push_back(std::move(reply));
  }
  return replies;
}

absl::StatusOr<Reply> Connection::Call(const Arguments& arguments) {
  if (arguments.empty()) return absl::InvalidArgumentError("a redis command needs a name");
  RETURN_IF_ERROR(EnsureConnected());
  ASSIGN_OR_RETURN(std::vector<Reply> replies, Exchange({&arguments}));
  if (replies[0].type == Reply::Type::kError) return StatusOfError(replies[0].text, arguments[0]);
  return std::move(replies[0]);
}

absl::StatusOr<std::vector<Reply>> Connection::Pipeline(const std::vector<Arguments>& commands) {
  std::vector<const Arguments*> pointers;
  pointers.reserve(commands.size());
  for (const Arguments& arguments : commands) pointers.push_back(&arguments);
  return Pipeline(pointers);
}

absl::StatusOr<std::vector<Reply>> Connection::Pipeline(
    const std::vector<const Arguments*>& commands) {
  if (commands.empty()) return std::vector<Reply>();
  for (const Arguments* arguments : commands) {
    if (arguments->empty()) return absl::InvalidArgumentError("a redis command needs a name");
  }
  RETURN_IF_ERROR(EnsureConnected());
  return Exchange(commands);
}

absl::StatusOr<Reply> Connection::BlockingCall(const Arguments& arguments, absl::Duration block) {
  RETURN_IF_ERROR(EnsureConnected());
  if (redisSetTimeout(context_->redis, TimevalOf(options_.command_timeout + block)) != REDIS_OK) {
    return Fail("set a timeout on");
  }
  absl::StatusOr<Reply> reply = Call(arguments);
  if (context_ != nullptr &&
      redisSetTimeout(context_->redis, TimevalOf(options_.command_timeout)) != REDIS_OK) {
    return Fail("set a timeout on");
  }
  return reply;
}

absl::Status Connection::Send(const Arguments& arguments) {
  RETURN_IF_ERROR(EnsureConnected());
  RETURN_IF_ERROR(Append(arguments));
  int done = 0;
  while (done == 0) {
    if (redisBufferWrite(context_->redis, &done) != REDIS_OK) return Fail("write to");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Reply>> Connection::Await(absl::Duration timeout, int interrupt) {
  if (context_ == nullptr) return Fail("read from");
  pollfd ready[] = {{context_->redis->fd, POLLIN, 0}, {interrupt, POLLIN, 0}};
  const int64_t ms = absl::ToInt64Milliseconds(absl::Ceil(timeout, absl::Milliseconds(1)));
  const int wait = static_cast<int>(std::clamp<int64_t>(ms, 0, std::numeric_limits<int>::max()));
  if (poll(ready, 2, wait) < 0 && errno != EINTR) return Fail("wait for");
  if (ready[0].revents == 0) return std::optional<Reply>();
  ASSIGN_OR_RETURN(Reply reply, Read());
  if (reply.type == Reply::Type::kError) return StatusOfError(reply.text, "a waiting command");
  return std::optional<Reply>(std::move(reply));
}

struct ConnectionPool::Shared {
  Mutex mu;
  std::vector<std::unique_ptr<Connection>> idle ABSL_GUARDED_BY(mu);
  std::string run_id ABSL_GUARDED_BY(mu);  // The last one seen.
  const std::function<void(const std::string&)> on_run_id;

  explicit Shared(std::function<void(const std::string&)> callback)
      : on_run_id(std::move(callback)) {}

  // Connections to a server that is gone, or to another life of it, are of no use to anybody.
  void Forget() {
    std::vector<std::unique_ptr<Connection>> dropped;
    MutexLock lock(&mu);
    dropped.swap(idle);
  }
};

// One borrowed connection; returned when the lease ends, unless the transport failed.
class ConnectionPool::Lease {
 public:
  Lease(Shared& shared, const RedisOptions& options) : shared_(shared) {
    {
      MutexLock lock(&shared_.mu);
      if (!shared_.idle.empty()) {
        connection_ = std::move(shared_.idle.back());
        shared_.idle.pop_back();
      }
    }
    if (connection_ == nullptr) connection_ = std::make_unique<Connection>(options);
  }

  // Connects before the caller's command is sent, so that news of another server comes first.
  absl::Status Open(absl::string_view server) {
    absl::Status connected = connection_->EnsureConnected();
    if (!connected.ok()) {
      shared_.Forget();
      return connected;
    }
    const std::string& run_id = connection_->run_id();
    bool changed = false;
    {
      MutexLock lock(&shared_.mu);
      changed = !run_id.empty() && run_id != shared_.run_id;
      if (changed) shared_.run_id = run_id;
    }
    if (changed) {
      shared_.Forget();
      if (shared_.on_run_id != nullptr) shared_.on_run_id(run_id);
    }
    if (run_id.empty() || absl::StartsWith(run_id, server)) return absl::OkStatus();
    return Error(absl::StatusCode::kUnavailable, "STORE_RESTARTED",
                 "redis was restarted, and has not been looked at since");
  }

  ~Lease() {
    if (!connection_->connected()) {
      shared_.Forget();
      return;
    }
    MutexLock lock(&shared_.mu);
    const bool current = connection_->run_id() == shared_.run_id || connection_->run_id().empty();
    if (current && shared_.idle.size() < kMaxIdle) shared_.idle.push_back(std::move(connection_));
  }

  Connection& connection() { return *connection_; }

 private:
  static constexpr size_t kMaxIdle = 64;
  Shared& shared_;
  std::unique_ptr<Connection> connection_;
};

ConnectionPool::ConnectionPool(RedisOptions options,
                               std::function<void(const std::string&)> on_run_id)
    : options_(std::move(options)), shared_(std::make_unique<Shared>(std::move(on_run_id))) {
  combiner_ = std::make_unique<CallCombiner>(
      [this](const std::vector<const Arguments*>& commands,
             absl::string_view server) -> absl::StatusOr<std::vector<Reply>> {
        Lease lease(*shared_, options_);
        RETURN_IF_ERROR(lease.Open(server));
        return lease.connection().Pipeline(commands);
      });
}

ConnectionPool::~ConnectionPool() = default;

absl::StatusOr<Reply> ConnectionPool::Call(const Arguments& arguments, absl::string_view server) {
  return combiner_->Call(arguments, server);
}

absl::StatusOr<std::vector<Reply>> ConnectionPool::Pipeline(const std::vector<Arguments>& commands,
                                                            absl::string_view server) {
  Lease lease(*shared_, options_);
  RETURN_IF_ERROR(lease.Open(server));
  return lease.connection().Pipeline(commands);
}

}  // namespace fairlead::redis
