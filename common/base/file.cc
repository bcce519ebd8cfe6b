#include "common/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace fairlead {
namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status WriteTemporary(const std::string& temporary, absl::string_view bytes) {
  ASSIGN_OR_RETURN(const FileDescriptor file,
                   OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW));
  RETURN_IF_ERROR(WriteAll(file.get(), bytes));
  if (::fsync(file.get()) != 0) return ErrnoStatus(absl::StrCat("cannot fsync ", temporary));
  return absl::OkStatus();
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

absl::Status ErrnoStatus(absl::string_view what) {
  const int error = errno;
  const std::string message = absl::StrCat(what, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

absl::StatusOr<FileDescriptor> OpenFile(const std::string& path, int flags, int mode) {
  FileDescriptor file(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!file.valid()) return ErrnoStatus(absl::StrCat("cannot open ", path));
  return file;
}

absl::Status WriteAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(absl::StrCat("cannot write ", bytes.size(), " bytes"));
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status ReadAt(int fd, int64_t offset, int64_t count, std::string* out) {
  out->resize(static_cast<size_t>(count));
  size_t have = 0;
  while (have < out->size()) {
    const ssize_t got = ::pread(fd, out->data() + have, out->size() - have,
                                static_cast<off_t>(offset + static_cast<int64_t>(have)));
    if (got < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(absl::StrCat("cannot read ", count, " bytes at ", offset));
    }
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  out->resize(have);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_RDONLY));
  struct stat state;
  if (::fstat(file.get(), &state) != 0) return ErrnoStatus(absl::StrCat("cannot stat ", path));
  std::string bytes;
  RETURN_IF_ERROR(Annotate(ReadAt(file.get(), 0, state.st_size, &bytes), path));
  return bytes;
}

absl::Status SyncDirectory(const std::string& path) {
  ASSIGN_OR_RETURN(const FileDescriptor directory, OpenFile(path, O_RDONLY | O_DIRECTORY));
  if (::fsync(directory.get()) != 0) return ErrnoStatus(absl::StrCat("cannot fsync ", path));
  return absl::OkStatus();
}

absl::Status CreateDirectories(const std::string& path) {
  struct stat state;
  if (::stat(path.c_str(), &state) == 0) {
    if (S_ISDIR(state.st_mode)) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a directory"));
  }
  const std::string parent = ParentOf(path);
  RETURN_IF_ERROR(CreateDirectories(parent));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(absl::StrCat("cannot create ", path));
  }
  return SyncDirectory(parent);
}

absl::Status WriteFileDurably(const std::string& path, const std::string& temporary,
                              absl::string_view bytes) {
  absl::Status status = WriteTemporary(temporary, bytes);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus(absl::StrCat("cannot rename ", temporary, " to ", path));
  }
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return SyncDirectory(ParentOf(path));
}

}  // namespace fairlead
