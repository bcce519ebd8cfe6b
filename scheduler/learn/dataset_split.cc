#include "scheduler/learn/dataset_split.h"

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"

namespace fairlead::learn {
namespace {

constexpr uint64_t kValidationPercent = 15;
constexpr uint64_t kWindowPercent = 25;

absl::string_view GroupOf(const SplitItem& item) {
  return item.group.empty() ? item.id : item.group;
}

// Another hash than the split's, which all of these share the upper part of.
bool InWindow(absl::string_view group) {
  return StableHash64(absl::StrCat("window/", group)) % 100 < kWindowPercent;
}

}  // namespace

absl::string_view SplitName(Split split) {
  switch (split) {
    case Split::kTrain:
      return "TRAIN";
    case Split::kValidation:
      return "VALIDATION";
    case Split::kTest:
      return "TEST";
    case Split::kWindow:
      return "WINDOW";
  }
  return "TRAIN";
}

Split SplitOf(absl::string_view group, absl::string_view id, bool gold) {
  if (gold) return Split::kTest;
  const uint64_t hash = StableHash64(group.empty() ? id : group);
  return hash % 100 < kValidationPercent ? Split::kValidation : Split::kTrain;
}

std::vector<Split> AssignSplits(const std::vector<SplitItem>& items) {
  absl::flat_hash_set<absl::string_view> gold_groups, known_groups;
  for (const SplitItem& item : items) {
    if (item.gold && !item.group.empty()) gold_groups.insert(item.group);
    if (!item.fresh) known_groups.insert(GroupOf(item));
  }
  std::vector<Split> splits;
  splits.reserve(items.size());
  for (const SplitItem& item : items) {
    const bool beside_gold = !item.gold && gold_groups.contains(item.group);
    Split split = beside_gold ? Split::kValidation : SplitOf(item.group, item.id, item.gold);
    const absl::string_view group = GroupOf(item);
    if (split == Split::kTrain && !known_groups.contains(group) && InWindow(group)) {
      split = Split::kWindow;
    }
    splits.push_back(split);
  }
  return splits;
}

}  // namespace fairlead::learn
