// Recogniser output voting error reduction (Fiscus, 1997): texts aligned word by word into one
// network, the weightiest word of each place chosen. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <vector>

namespace fairlead::quality::batch {

// A place's winner: which voter's which word, so that it can be written as it stood there.
struct ChosenWord {
  int32_t number;
  int voter, position;
};

// `texts` as word numbers, the one that alignment starts from first; `weights` one each, above 0.
// "Nothing" competes for every place like a word. Ties go to the earlier voter. O(texts · words²).
std::vector<ChosenWord> VoteWords(const std::vector<std::vector<int32_t>>& texts,
                                  const std::vector<double>& weights);

}  // namespace fairlead::quality::batch
