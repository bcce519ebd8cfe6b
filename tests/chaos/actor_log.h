// What a process of the chaos test writes down of what it sent and what it was told: a line an
// entry, written at once, so that a kill takes nothing of it back. The checker reads them all.
//
// Entries, fields behind the kind:
//   producer, client  send ID…            before a call
//                     acked ID…           it was answered: these are taken
//                     refused REASON      it was answered with an error
//   worker            sent N [OP:TOKEN]…  before tick N (unique); OP is ack, nack or note
//                     reply N [lease:TOKEN:JOB]… [lost:TOKEN]…
//                     mine N [lease:TOKEN:JOB]…   what the session holds, asked after a failure
//                     failed N REASON
//   all               begin SESSION       a new life of the process, or of its session
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fairlead::chaos {

struct Entry {
  int64_t time_ns = 0;  // CLOCK_MONOTONIC: one order over all processes of the machine.
  std::string kind;
  std::vector<std::string> fields;
};

// Appends to a file that other lives of the same process appended to before. Not thread-safe.
class ActorLog {
 public:
  // UNAVAILABLE when the file cannot be opened.
  static absl::StatusOr<ActorLog> Open(const std::string& path);
  ~ActorLog();
  ActorLog(ActorLog&& other) noexcept;
  ActorLog& operator=(ActorLog&&) = delete;

  // Ends the process when the line cannot be written: what is not in the log must not be done.
  void Write(absl::string_view kind, const std::vector<std::string>& fields);

 private:
  explicit ActorLog(int fd) : fd_(fd) {}
  int fd_;
};

// The whole lines of a file from `offset` on, which is moved behind them; the rest is under way.
// INVALID_ARGUMENT naming a line that is no entry; nothing of a file that is not there yet.
absl::StatusOr<std::vector<Entry>> ReadEntries(const std::string& path, int64_t* offset);

}  // namespace fairlead::chaos
