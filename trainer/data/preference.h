// What people said about responses, as a reward model learns it. Torch-free; train.h includes it.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace fairlead::trainer {

// The part that an example, of text or image, has in a training.
enum class Split { kTrain, kValidation, kTest };

// One judgement between two responses of an item, by their indices.
struct Comparison {
  int a = 0;
  int b = 1;
  double preference_a = 1.0;  // Target probability that A is better: 1, 0, a share of votes, 0.5.
};

// A prompt with its responses and what people said about them: comparisons, one ranking, or, for a
// single response, whether it is safe. Exactly one of the three is filled.
struct PreferenceItem {
  std::string id;
  std::string prompt;
  std::vector<std::string> responses;
  std::vector<Comparison> comparisons;
  // Indices of the responses in levels, best first; those of one level tie. Each index once.
  std::vector<std::vector<int>> ranking;
  std::optional<bool> safe;
  double weight = 1.0;
  Split split = Split::kTrain;
};

inline constexpr int kMaxResponses = 12;

}  // namespace fairlead::trainer
