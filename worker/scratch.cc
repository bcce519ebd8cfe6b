#include "worker/scratch.h"

#include <chrono>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace fairlead::worker {
namespace {

constexpr int kNameDigits = 32;

void RemoveTree(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) FAIRLEAD_LOG(WARNING) << "cannot remove path=" << path << " why=" << error.message();
}

}  // namespace

std::string Scratch::PathOf(absl::string_view job) const {
  return absl::StrCat(root_, "/jobs/", Sha256Hex(job).substr(0, kNameDigits));
}

absl::StatusOr<std::string> Scratch::JobDirectory(absl::string_view job) const {
  const std::string path = PathOf(job);
  RETURN_IF_ERROR(CreateDirectories(path));
  return path;
}

void Scratch::Forget(absl::string_view job) const { RemoveTree(PathOf(job)); }

void Scratch::RemoveOld(absl::Time before) const {
  const auto age = absl::ToChronoSeconds(absl::Now() - before);
  const auto limit = std::filesystem::file_time_type::clock::now() - age;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(absl::StrCat(root_, "/jobs"), error)) {
    std::error_code ignored;
    const auto written = std::filesystem::last_write_time(entry.path(), ignored);
    if (!ignored && written < limit) RemoveTree(entry.path());
  }
}

}  // namespace fairlead::worker
