// Which part of a dataset snapshot an item belongs to (hop 11). Items of one group (receipt,
// prompt) never stand on both sides of training and test, and an item stays where it is for ever:
// the split is a hash, not a draw. Only the window moves: what is in it is judged in one round and
// trained on from the next. Pure; thread-safe.
#pragma once

#include <vector>

#include "absl/strings/string_view.h"

namespace fairlead::learn {

enum class Split { kTrain, kValidation, kTest, kWindow };

// "TRAIN", "VALIDATION", "TEST", "WINDOW".
absl::string_view SplitName(Split split);

// Gold is TEST; of the others 15 % of the groups are VALIDATION and the rest TRAIN. An item without
// a group is its own.
Split SplitOf(absl::string_view group, absl::string_view id, bool gold);

struct SplitItem {
  absl::string_view group, id;
  bool gold = false;
  bool fresh = false;  // Labelled since the last round: nothing has been trained on it.
};

// The splits of a whole snapshot, in the order of `items`. As SplitOf(), except that items which
// share a group with gold are VALIDATION: never trained on, and the test set stays gold; and except
// that a quarter of the groups which would be TRAIN and are fresh throughout are WINDOW.
std::vector<Split> AssignSplits(const std::vector<SplitItem>& items);

}  // namespace fairlead::learn
