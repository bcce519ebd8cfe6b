// How a response is written, in numbers that do not grow with its length. Torch-free and pure.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace fairlead::trainer {

// What each number says; the names appear among a model's words.
inline constexpr std::array<absl::string_view, 11> kFormNames = {"(takes up the prompt)",
                                                                 "(repeats the prompt)",
                                                                 "(different words)",
                                                                 "(prompt's word late)",
                                                                 "(digits)",
                                                                 "(words a sentence)",
                                                                 "(commas)",
                                                                 "(brackets)",
                                                                 "(capitals)",
                                                                 "(ends as a sentence)",
                                                                 "(questions)"};

// Numbers of about 0 to 1. All 0 for a response without a word.
class Form {
 public:
  // `prompt`: its words; `tokens`: the response's (features.h); `rarity`: weight of a word.
  // O(text).
  Form(const std::vector<std::string>& prompt, absl::string_view response,
       const std::vector<std::string>& tokens,
       const std::function<double(absl::string_view)>& rarity);

  size_t words() const { return words_; }
  const std::array<double, kFormNames.size()>& values() const { return values_; }

 private:
  size_t words_ = 0;
  std::array<double, kFormNames.size()> values_{};
};

}  // namespace fairlead::trainer
