// Reads preference pairs from JSON lines. Torch-free.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/train.h"

namespace fairlead::trainer {

// One object a line: {"prompt", "chosen", "rejected"} or {"prompt", "response_a", "response_b",
// "preference_a"}; optional: "id", "weight", "split" (train | val | test). Without "split" the pair
// is put by hash of (seed, prompt): 80 % train, 10 % validation, 10 % test, all pairs of a prompt
// together. Errors name file and line.
absl::StatusOr<std::vector<PreferencePair>> ReadPreferenceFile(const std::string& path,
                                                               uint64_t seed);

}  // namespace fairlead::trainer
