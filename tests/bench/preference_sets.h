// The preference sets that benchmarks learn from, in ../shared/data/preference or
// $FAIRLEAD_SHARED/data/preference; they are not part of the product.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/train.h"

namespace fairlead::bench {

std::string PreferenceFolder();

absl::StatusOr<std::vector<trainer::PreferenceItem>> HarmlessTrain();
absl::StatusOr<std::vector<trainer::PreferenceItem>> HarmlessDev();
// 500 questions of four ranked answers each.
absl::StatusOr<std::vector<trainer::PreferenceItem>> RankedAnswers();
// `part`: train or val.
absl::StatusOr<std::vector<trainer::PreferenceItem>> SafetyReplies(const std::string& part);

}  // namespace fairlead::bench
