// Preference pairs with a known better reply, for demos, simulations and tests of the reward way.
//
// A reply is put together from sentences, each with a latent quality: polite, specific and on-topic
// ones above 0, rude, evasive and wrong ones below. A reply's helpfulness is their sum plus noise,
// and reply A is the better one with probability sigmoid(slope × (helpfulness A − helpfulness B)):
// so the words tell much, but not all, and length tells nothing. Bradley and Terry (1952).
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace fairlead {

struct GeneratedPair {
  std::string prompt;
  std::string response_a;
  std::string response_b;  // Never equal to response_a.
  bool a_better = false;
};

// Pair `index` of the set `seed`; depends on nothing else. Thread-safe.
GeneratedPair GeneratePair(uint64_t seed, int64_t index);

// The pair as one line of JSON without a newline: {"prompt", "chosen", "rejected"}.
std::string PairJson(const GeneratedPair& pair);

// Writes pairs `first` … `first + count − 1`, a line each; the file appears whole. Take ranges that
// do not overlap for training and for evaluation. INVALID_ARGUMENT when count is not positive.
absl::Status WritePairsJsonl(const std::string& path, uint64_t seed, int64_t first, int64_t count);

}  // namespace fairlead
