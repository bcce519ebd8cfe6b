// Work that was accepted when its task ended. It may be finished in its window, and is paid then,
// so a project's budget has to hold its pay until that has passed.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/redis/connection.h"

namespace fairlead::dispatch {

struct Unfinished {
  std::string slot, project, assignment;
  int64_t until_ms = 0;  // Its window ends.
};

// Not thread-safe.
class UnfinishedWork {
 public:
  // Once per assignment.
  void Add(const Unfinished& work);
  // It was finished.
  void Remove(absl::string_view assignment);
  // Those whose window ended before `ms`.
  void RemoveUntil(int64_t ms);
  void RemoveSlot(absl::string_view slot);
  // How many answers of ended tasks of a project may still come.
  int64_t Of(absl::string_view project) const;

 private:
  absl::flat_hash_map<std::string, Unfinished> work_;  // By assignment.
  std::set<std::pair<int64_t, std::string>> ends_;     // Of their windows; assignments.
  absl::flat_hash_map<std::string, int64_t> counts_;   // By project.
};

// What Redis knows of one task shard. O(deadlines of the shard).
absl::StatusOr<std::vector<Unfinished>> ReadUnfinished(redis::ConnectionPool& pool,
                                                       const std::string& slot);

}  // namespace fairlead::dispatch
