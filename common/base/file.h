// Files that must survive a power cut: descriptors that close themselves, whole writes, fsync of
// file and directory. POSIX only. All functions are thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fairlead {

// Owns a file descriptor. Movable; -1 when it owns none.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// The current errno as a status: ENOENT → NOT_FOUND, no room → RESOURCE_EXHAUSTED, EACCES →
// PERMISSION_DENIED, else UNAVAILABLE. `what` says what was tried, with the path.
absl::Status ErrnoStatus(absl::string_view what);

// open(2) with O_CLOEXEC added; `mode` for files it creates.
absl::StatusOr<FileDescriptor> OpenFile(const std::string& path, int flags, int mode = 0600);

// Appends every byte to the descriptor or fails; on failure some may have been written.
absl::Status WriteAll(int fd, absl::string_view bytes);

// Reads up to `count` bytes at `offset`; fewer only at the end of the file.
absl::Status ReadAt(int fd, int64_t offset, int64_t count, std::string* out);

// The whole file. NOT_FOUND when there is none.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Makes the names in a directory durable.
absl::Status SyncDirectory(const std::string& path);

// Creates the directory and its parents (mode 0700 where missing) and makes each new name durable.
absl::Status CreateDirectories(const std::string& path);

// Replaces `path` as a whole: `temporary` (same file system) is written, fsynced and renamed, then
// path's directory is fsynced. A reader sees the old file or the new one, never a part.
absl::Status WriteFileDurably(const std::string& path, const std::string& temporary,
                              absl::string_view bytes);

}  // namespace fairlead
