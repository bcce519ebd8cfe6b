// Calls of several threads in one round trip: who finds nobody on the way takes all that wait along
// (flat combining; Hendler, Incze, Shavit, Tzafrir 2010). A busy process spares Redis and itself
// most of the system calls; an idle one notices nothing.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"
#include "common/redis/connection.h"

namespace fairlead::redis {

// Thread-safe.
class CallCombiner {
 public:
  // Sends commands that are all meant for the server `server` (see ConnectionPool::Call), on the
  // calling thread. One Status for the transport; an error of one command is a kError reply.
  using Exchange = std::function<absl::StatusOr<std::vector<Reply>>(
      const std::vector<const Arguments*>& commands, absl::string_view server)>;

  explicit CallCombiner(Exchange exchange) : exchange_(std::move(exchange)) {}

  // One command and its reply; waits for both. A call from within `exchange` goes by itself.
  absl::StatusOr<Reply> Call(const Arguments& arguments, absl::string_view server);

 private:
  struct Waiting {
    const Arguments* arguments;
    absl::string_view server;
    CondVar turn;  // It has its reply, or is to lead.
    std::optional<absl::StatusOr<Reply>> reply;
  };

  // Takes those along that wait for the same server as the first.
  std::vector<Waiting*> TakeBatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Lead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Exchange exchange_;
  Mutex mu_;
  int leaders_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<Waiting*> queue_ ABSL_GUARDED_BY(mu_);
};

}  // namespace fairlead::redis
