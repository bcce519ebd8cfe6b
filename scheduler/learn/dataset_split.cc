#include "scheduler/learn/dataset_split.h"

#include "absl/container/flat_hash_set.h"
#include "common/base/hash.h"

namespace fairlead::learn {
namespace {

constexpr uint64_t kValidationPercent = 15;

}  // namespace

absl::string_view SplitName(Split split) {
  switch (split) {
    case Split::kTrain:
      return "TRAIN";
    case Split::kValidation:
      return "VALIDATION";
    case Split::kTest:
      return "TEST";
  }
  return "TRAIN";
}

Split SplitOf(absl::string_view group, absl::string_view id, bool gold) {
  if (gold) return Split::kTest;
  const uint64_t hash = StableHash64(group.empty() ? id : group);
  return hash % 100 < kValidationPercent ? Split::kValidation : Split::kTrain;
}

std::vector<Split> AssignSplits(const std::vector<SplitItem>& items) {
  absl::flat_hash_set<absl::string_view> gold_groups;
  for (const SplitItem& item : items) {
    if (item.gold && !item.group.empty()) gold_groups.insert(item.group);
  }
  std::vector<Split> splits;
  splits.reserve(items.size());
  for (const SplitItem& item : items) {
    const bool beside_gold = !item.gold && gold_groups.contains(item.group);
    splits.push_back(beside_gold ? Split::kValidation : SplitOf(item.group, item.id, item.gold));
  }
  return splits;
}

}  // namespace fairlead::learn
