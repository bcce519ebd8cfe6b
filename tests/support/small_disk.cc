#include "tests/support/small_disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"

namespace fairlead::testing {

absl::StatusOr<std::unique_ptr<SmallDisk>> SmallDisk::Mount(const std::string& directory,
                                                            int64_t bytes) {
  mkdir(directory.c_str(), 0700);
  const std::string options = absl::StrCat("size=", bytes, ",mode=0700");
  if (mount("tmpfs", directory.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) == 0) {
    return std::unique_ptr<SmallDisk>(new SmallDisk(directory));
  }
  const std::string why = absl::StrCat("cannot mount a tmpfs: ", std::strerror(errno));
  if (errno == EPERM || errno == EACCES) return absl::PermissionDeniedError(why);
  return absl::InternalError(why);
}

SmallDisk::~SmallDisk() { umount2(directory_.c_str(), MNT_DETACH); }

absl::Status SmallDisk::Fill() {
  const int fd = open(Ballast().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return absl::UnavailableError(absl::StrCat("cannot open ", Ballast()));
  const std::vector<char> page(4096, 'x');
  while (write(fd, page.data(), page.size()) > 0) {
  }
  const bool full = errno == ENOSPC;
  close(fd);
  return full ? absl::OkStatus() : absl::InternalError("the disk is not full");
}

absl::Status SmallDisk::Free() {
  if (unlink(Ballast().c_str()) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot remove ", Ballast()));
}

}  // namespace fairlead::testing
