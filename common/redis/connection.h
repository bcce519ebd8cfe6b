// Redis connections. connection.cc is the only file of the project that includes hiredis.
//
// Errors: UNAVAILABLE / STORE_UNAVAILABLE when Redis cannot be reached, times out, is loading, read
// only or says TRYAGAIN or CLUSTERDOWN; RESOURCE_EXHAUSTED / STORE_FULL for OOM;
// FAILED_PRECONDITION / STORE_SCRIPT for a function that is not loaded; INTERNAL for other errors
// Redis returns (its text is in the message). After a failure of the transport the connection is
// dead and is opened anew by the next call; what happened to the failed call is unknown, and
// nothing is ever sent twice. The first connection makes the process ignore SIGPIPE, unless it
// handles it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace fairlead::redis {

struct RedisOptions {
  std::string address;  // "unix:/path/to/socket" or "host:port".
  std::string user;  // ACL user; empty authenticates as default, or not at all without a password.
  std::string password;
  absl::Duration connect_timeout = absl::Seconds(2);
  absl::Duration command_timeout = absl::Seconds(5);
  // INVALID_ARGUMENT naming the field.
  absl::Status Validate() const;
};

// One value of a reply. Errors inside arrays stay values (kError); a top-level one becomes a
// Status.
struct Reply {
  enum class Type { kNil, kString, kInteger, kArray, kError };
  Type type = Type::kNil;
  std::string text;             // kString, kError; status replies ("OK") are strings.
  int64_t integer = 0;          // kInteger.
  std::vector<Reply> elements;  // kArray.

  bool is_nil() const { return type == Type::kNil; }
  // A string, or an integer's digits; "" for anything else.
  std::string AsText() const;
  // An integer, or a string of digits; 0 for anything else.
  int64_t AsInt() const;
};

// The Status that the text of an error reply to `command` becomes.
absl::Status StatusOfError(const std::string& text, absl::string_view command);

using Arguments = std::vector<std::string>;

// A blocking connection. Thread-compatible: one call at a time.
class Connection {
 public:
  explicit Connection(RedisOptions options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Sends one command (binary safe) and waits for its reply. Connects when needed.
  absl::StatusOr<Reply> Call(const Arguments& arguments);
  // Sends all, then reads all replies, in order. One Status for the transport; an error of a single
  // command is a kError reply in its place.
  absl::StatusOr<std::vector<Reply>> Pipeline(const std::vector<Arguments>& commands);
  absl::StatusOr<std::vector<Reply>> Pipeline(const std::vector<const Arguments*>& commands);
  // A call that may block on the server for up to `block` (XREAD BLOCK, BLPOP): the command timeout
  // is extended by it.
  absl::StatusOr<Reply> BlockingCall(const Arguments& arguments, absl::Duration block);

  // Sends a command for Await; until that has its reply or Close() was called, no other call is
  // made.
  absl::Status Send(const Arguments& arguments);
  // The reply to what was sent. Nothing when none has come within `timeout`, or when `interrupt`, a
  // file descriptor (-1 for none), became readable: then it may be awaited again.
  absl::StatusOr<std::optional<Reply>> Await(absl::Duration timeout, int interrupt);
  void Close() { Drop(); }

  // Connects when not connected: authenticates and reads run_id. The calls above do it themselves.
  absl::Status EnsureConnected();
  bool connected() const { return context_ != nullptr; }

  // The server's run_id, read at each connect; "" before the first, and for a user that may not ask
  // (INFO). A change means Redis restarted or failed over since.
  const std::string& run_id() const { return run_id_; }

 private:
  struct Context;
  absl::Status Introduce();
  absl::Status Append(const Arguments& arguments);
  absl::StatusOr<std::vector<Reply>> Exchange(const std::vector<const Arguments*>& commands);
  absl::StatusOr<Reply> Read();
  absl::Status Fail(absl::string_view doing);
  void Drop();

  const RedisOptions options_;
  std::string run_id_;
  std::unique_ptr<Context> context_;
};

class CallCombiner;

// Lends connections; opens another when all are out, keeps at most 64 idle. Thread-safe.
class ConnectionPool {
 public:
  // `on_run_id` is called (on the borrowing thread, outside locks) whenever a lent connection's
  // run_id differs from the last one seen by the pool, the first included, before the call that
  // borrowed it is sent. It may use the pool.
  explicit ConnectionPool(RedisOptions options,
                          std::function<void(const std::string& run_id)> on_run_id = nullptr);
  ~ConnectionPool();

  // Borrows, calls, gives back; calls of several threads share a round trip (call_combiner.h), so
  // none may block on the server. `server`, unless it is "": what the run_id of the server begins
  // with that the call is meant for. On another one (Redis was restarted) nothing is sent:
  // UNAVAILABLE / STORE_RESTARTED. A user that may not ask for the run_id is not held to it.
  absl::StatusOr<Reply> Call(const Arguments& arguments, absl::string_view server = "");
  absl::StatusOr<std::vector<Reply>> Pipeline(const std::vector<Arguments>& commands,
                                              absl::string_view server = "");
  const RedisOptions& options() const { return options_; }

 private:
  class Lease;
  struct Shared;
  const RedisOptions options_;
  std::unique_ptr<Shared> shared_;
  std::unique_ptr<CallCombiner> combiner_;
};

// What the server must be like before Fairlead writes to it (guarantee G10): version ≥ 7.0,
// maxmemory-policy noeviction, appendonly yes unless `dev_mode`. FAILED_PRECONDITION names the
// setting, its value and the value it must have. UNAVAILABLE when the server cannot be asked.
absl::Status CheckServer(ConnectionPool& pool, bool dev_mode);

}  // namespace fairlead::redis
