// Which slot holds what. Counts are fixed when a cluster is created and stand in its schema record.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/hash.h"

namespace fairlead::store {

constexpr char kRegistrySlot[] = "sys";

struct Topology {
  int32_t shards = 1;  // Task shards "s<k>".
  int32_t homes = 1;   // Contractor homes "h<k>".
  int32_t lanes = 1;   // Machine lanes "m<k>".

  // `project` is the key `{tenant}/{project}`; a project lives in one shard.
  std::string ShardOf(absl::string_view project) const {
    return absl::StrCat("s", StableHash64(project) % static_cast<uint64_t>(shards));
  }
  std::string HomeOf(absl::string_view contractor) const {
    return absl::StrCat("h", StableHash64(contractor) % static_cast<uint64_t>(homes));
  }
  // A model's jobs share a lane, so that they queue behind each other.
  std::string LaneOf(absl::string_view model) const {
    return absl::StrCat("m", StableHash64(model) % static_cast<uint64_t>(lanes));
  }
  std::vector<std::string> ShardSlots() const { return Named("s", shards); }
  std::vector<std::string> HomeSlots() const { return Named("h", homes); }
  std::vector<std::string> LaneSlots() const { return Named("m", lanes); }
  std::vector<std::string> AllSlots() const {
    std::vector<std::string> all = {kRegistrySlot};
    for (const auto& slots : {HomeSlots(), ShardSlots(), LaneSlots()}) {
      all.insert(all.end(), slots.begin(), slots.end());
    }
    return all;
  }

 private:
  static std::vector<std::string> Named(absl::string_view prefix, int32_t count) {
    std::vector<std::string> names;
    names.reserve(static_cast<size_t>(count));
    for (int32_t k = 0; k < count; ++k) names.push_back(absl::StrCat(prefix, k));
    return names;
  }
};

}  // namespace fairlead::store
