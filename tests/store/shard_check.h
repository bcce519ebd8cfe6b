// Whether a task shard in Redis agrees with itself: the independent reading of common/redis/keys.h.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/redis/connection.h"

namespace fairlead::store {

// INTERNAL naming the first thing that is wrong: a task in a queue it does not belong to or missing
// from one, counters that are not those of its places, project counts that are not those of its
// tasks (ended ones may have left), a gap in the events. O(shard).
absl::Status CheckShard(redis::ConnectionPool& pool, const std::string& slot);

}  // namespace fairlead::store
