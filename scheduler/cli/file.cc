#include "scheduler/cli/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/ids.h"
#include "common/base/status.h"

namespace fairlead::cli {
namespace {

absl::Status ErrnoStatus(absl::string_view what, const std::string& path, int error) {
  const std::string message = absl::StrCat(what, " ", path, ": ", strerror(error));
  if (error == ENOENT) return absl::NotFoundError(message);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(message);
  return absl::FailedPreconditionError(message);
}

absl::Status WriteAll(int fd, absl::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return ErrnoStatus("cannot write", path, errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  if (fsync(fd) != 0) return ErrnoStatus("cannot sync", path, errno);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return ErrnoStatus("cannot read", path, errno == 0 ? ENOENT : errno);
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::FailedPreconditionError(absl::StrCat("cannot read ", path, ": is a directory"));
  }
  std::string bytes;
  std::vector<char> buffer(1 << 16);
  while (stream.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) ||
         stream.gcount() > 0) {
    bytes.append(buffer.data(), static_cast<size_t>(stream.gcount()));
    if (static_cast<int64_t>(bytes.size()) > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("cannot read ", path, ": larger than ", max_bytes, " bytes"));
    }
  }
  return bytes;
}

absl::Status WriteFile(const std::string& path, absl::string_view bytes, int mode) {
  const std::string temporary = absl::StrCat(path, ".", RandomHex(4), ".tmp");
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return ErrnoStatus("cannot create", temporary, errno);
  absl::Status status = WriteAll(fd, bytes, path);
  close(fd);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus("cannot replace", path, errno);
  }
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

absl::Status MakeDirectory(const std::string& path, int mode) {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) return ErrnoStatus("cannot create", parent.string(), error.value());
  if (mkdir(path.c_str(), static_cast<mode_t>(mode)) != 0 && errno != EEXIST) {
    return ErrnoStatus("cannot create", path, errno);
  }
  if (!std::filesystem::is_directory(path, error)) return ErrnoStatus("cannot use", path, ENOTDIR);
  return absl::OkStatus();
}

absl::StatusOr<std::string> OwnBinaryDirectory() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return absl::InternalError("cannot read /proc/self/exe");
  return self.parent_path().string();
}

std::string AbsolutePath(const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.lexically_normal().string();
}

std::string TailOfFile(const std::string& path, int lines) {
  absl::StatusOr<std::string> bytes = ReadFile(path);
  if (!bytes.ok()) return "";
  std::vector<std::string> all = absl::StrSplit(*bytes, '\n', absl::SkipEmpty());
  const size_t skip = all.size() > static_cast<size_t>(lines) ? all.size() - lines : 0;
  return absl::StrJoin(all.begin() + skip, all.end(), "\n");
}

}  // namespace fairlead::cli
