// A bounded cache of blobs on the local disk, by content: an entry is read back only when its bytes
// still have its id as their SHA-256, so a torn or rotten file is a miss. Nothing is fsynced: what
// a crash loses is fetched again. Entries are a tenant's: knowing the id of another's blob gives
// nothing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"

namespace fairlead {

// Thread-safe. One process a directory.
class BlobCache {
 public:
  // Takes over what is in `directory`; oldest use first, entries go once `max_bytes` is exceeded.
  BlobCache(std::string directory, int64_t max_bytes);

  // The bytes, or nothing.
  std::optional<std::string> Get(absl::string_view tenant, absl::string_view id);
  // Keeps the bytes; too large ones and those no disk has room for are simply not kept.
  void Put(absl::string_view tenant, absl::string_view id, absl::string_view bytes);
  int64_t size_bytes() const;

 private:
  struct Entry {
    int64_t bytes = 0;
    uint64_t used = 0;  // Order of use.
  };
  std::string PathOf(absl::string_view name) const;
  void Note(const std::string& name, int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Drop(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string directory_;
  const int64_t max_bytes_;
  mutable Mutex mu_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mu_);  // By "<tenant>.<id>".
  std::map<uint64_t, std::string> by_use_ ABSL_GUARDED_BY(mu_);
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t uses_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace fairlead
