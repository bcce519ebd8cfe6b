#include "common/blob/blob_cache.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/blob/blob_id.h"

namespace fairlead {
namespace {

// A slug has no '.', so the name of an entry has one and that of a file being written has two.
std::string NameOf(absl::string_view tenant, absl::string_view id) {
  return absl::StrCat(tenant, ".", id);
}

bool IsName(absl::string_view name) {
  const size_t dot = name.find('.');
  return dot != absl::string_view::npos &&
         CheckBlobName(name.substr(0, dot), name.substr(dot + 1)).ok();
}

}  // namespace

BlobCache::BlobCache(std::string directory, int64_t max_bytes)
    : directory_(std::move(directory)), max_bytes_(max_bytes) {
  const absl::Status created = CreateDirectories(directory_);
  if (!created.ok()) FAIRLEAD_LOG(WARNING) << "blob cache unusable status=" << created;
  struct Found {
    std::filesystem::file_time_type written;
    std::string name;
    int64_t bytes;
  };
  std::vector<Found> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
    std::error_code ignored;
    const std::string name = entry.path().filename().string();
    if (!IsName(name)) {
      std::filesystem::remove(entry.path(), ignored);  // A file that was being written.
      continue;
    }
    const auto size = static_cast<int64_t>(entry.file_size(ignored));
    found.push_back({entry.last_write_time(ignored), name, size});
  }
  std::sort(found.begin(), found.end(),
            [](const Found& a, const Found& b) { return a.written < b.written; });
  MutexLock lock(&mu_);
  for (const Found& one : found) Note(one.name, one.bytes);
}

std::string BlobCache::PathOf(absl::string_view name) const {
  return absl::StrCat(directory_, "/", name);
}

void BlobCache::Note(const std::string& name, int64_t bytes) {
  const auto known = entries_.find(name);
  if (known != entries_.end()) {
    by_use_.erase(known->second.used);
    bytes_ -= known->second.bytes;
  }
  entries_[name] = {bytes, ++uses_};
  by_use_[uses_] = name;
  bytes_ += bytes;
  while (bytes_ > max_bytes_ && !by_use_.empty()) {
    const std::string oldest = by_use_.begin()->second;
    Drop(oldest);
  }
}

void BlobCache::Drop(const std::string& name) {
  const auto known = entries_.find(name);
  if (known == entries_.end()) return;
  by_use_.erase(known->second.used);
  bytes_ -= known->second.bytes;
  entries_.erase(known);
  unlink(PathOf(name).c_str());
}

std::optional<std::string> BlobCache::Get(absl::string_view tenant, absl::string_view id) {
  const std::string name = NameOf(tenant, id);
  {
    MutexLock lock(&mu_);
    const auto known = entries_.find(name);
    if (known == entries_.end()) return std::nullopt;
    Note(name, known->second.bytes);
  }
  absl::StatusOr<std::string> bytes = ReadFile(PathOf(name));
  if (bytes.ok() && Sha256Hex(*bytes) == id) return *std::move(bytes);
  MutexLock lock(&mu_);
  Drop(name);
  return std::nullopt;
}

void BlobCache::Put(absl::string_view tenant, absl::string_view id, absl::string_view bytes) {
  const std::string name = NameOf(tenant, id);
  if (static_cast<int64_t>(bytes.size()) > max_bytes_ || !IsName(name)) return;
  const std::string temporary = absl::StrCat(PathOf(name), ".", RandomHex(8));
  absl::StatusOr<FileDescriptor> file = OpenFile(temporary, O_WRONLY | O_CREAT | O_EXCL);
  absl::Status written = file.status();
  if (file.ok()) written = WriteAll(file->get(), bytes);
  if (!written.ok() || rename(temporary.c_str(), PathOf(name).c_str()) != 0) {
    FAIRLEAD_LOG(WARNING) << "blob not cached status=" << written;
    unlink(temporary.c_str());
    return;
  }
  MutexLock lock(&mu_);
  Note(name, static_cast<int64_t>(bytes.size()));
}

int64_t BlobCache::size_bytes() const {
  MutexLock lock(&mu_);
  return bytes_;
}

}  // namespace fairlead
