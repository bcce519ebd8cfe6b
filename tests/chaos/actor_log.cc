#include "tests/chaos/actor_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace fairlead::chaos {
namespace {

int64_t MonotonicNanos() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{1'000'000'000} * now.tv_sec + now.tv_nsec;
}

}  // namespace

absl::StatusOr<ActorLog> ActorLog::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return absl::UnavailableError(absl::StrCat("cannot open ", path));
  return ActorLog(fd);
}

ActorLog::ActorLog(ActorLog&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

ActorLog::~ActorLog() {
  if (fd_ >= 0) close(fd_);
}

void ActorLog::Write(absl::string_view kind, const std::vector<std::string>& fields) {
  std::string line = absl::StrCat(MonotonicNanos(), " ", kind);
  for (const std::string& field : fields) absl::StrAppend(&line, " ", field);
  line.push_back('\n');
  // One write: a kill leaves the whole line or nothing of it.
  if (write(fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size())) return;
  std::perror("chaos log");
  std::abort();
}

absl::StatusOr<std::vector<Entry>> ReadEntries(const std::string& path, int64_t* offset) {
  std::vector<Entry> entries;
  std::ifstream file(path, std::ios::binary);
  if (!file) return entries;
  file.seekg(*offset);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const size_t end = text.rfind('\n');
  if (end == std::string::npos) return entries;
  for (absl::string_view line : absl::StrSplit(absl::string_view(text).substr(0, end), '\n')) {
    std::vector<std::string> words = absl::StrSplit(line, ' ');
    Entry entry;
    if (words.size() < 2 || !absl::SimpleAtoi(words[0], &entry.time_ns)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": no entry: ", line));
    }
    entry.kind = std::move(words[1]);
    entry.fields.assign(std::make_move_iterator(words.begin() + 2),
                        std::make_move_iterator(words.end()));
    entries.push_back(std::move(entry));
  }
  *offset += static_cast<int64_t>(end) + 1;
  return entries;
}

}  // namespace fairlead::chaos
