// A file system with hardly any room (a tmpfs of its own), to see what a full disk does.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace fairlead::testing {

class SmallDisk {
 public:
  // Mounts one of `bytes` on `directory`, which is made when it is not there. PERMISSION_DENIED
  // where this process may not mount: the test has to skip itself and say so.
  static absl::StatusOr<std::unique_ptr<SmallDisk>> Mount(const std::string& directory,
                                                          int64_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  // Takes all the room that is left, in a file of its own …
  absl::Status Fill();
  // … and gives it back.
  absl::Status Free();

 private:
  explicit SmallDisk(std::string directory) : directory_(std::move(directory)) {}
  std::string Ballast() const { return directory_ + "/ballast"; }

  const std::string directory_;
};

}  // namespace fairlead::testing
