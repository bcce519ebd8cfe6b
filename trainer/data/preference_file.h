// Reads preferences from JSON lines, plain or .gz. Torch-free; thread-safe.
//
// A line is one of
//   {"prompt"?, "chosen", "rejected"}                    also "response_a", "response_b",
//                                                        "preference_a" (0–1)
//   {"prompt"?, "responses": […], "ranking": […]}        indices from 0, best first; a list within
//                                                        the list holds indices that tie: [2,[0,1]]
//   {"prompt"?, "responses": […], "rank": […]}           the place of each response, 1 = best;
//   equal
//                                                        places tie
//   {"prompt"?, "responses": […], "votes": […]}          one vote a judge: the place of the best
//                                                        response in the list from 1, 0 = tie
//   {"prompt"?, "response", "safe": true|false}
// with, optionally, "id", "weight" (> 0) and "split" (train | val | test; train unless given).
// "first_human" is read as prompt. A whole dialogue ("\n\nHuman: … \n\nAssistant: …") is cut to its
// last assistant turn; what stands before it becomes the prompt.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "trainer/train.h"

namespace fairlead::trainer {

inline constexpr size_t kMaxResponseBytes = 64 << 10;
inline constexpr size_t kMaxPromptBytes = 256 << 10;

// How the line names its responses, and so how scores are given back.
enum class LineForm { kPair, kList, kSingle };

struct PreferenceLine {
  LineForm form = LineForm::kPair;
  PreferenceItem item;
};

// The texts of a line, judged or not. INVALID_ARGUMENT with one of the reasons INVALID_UTF8,
// NOT_JSON, WRONG_TYPE, NO_RESPONSE, EMPTY_PROMPT, TOO_LONG, NO_ASSISTANT_TURN, TOO_MANY_RESPONSES.
absl::StatusOr<PreferenceLine> ParseTexts(absl::string_view line);

// The same with its judgement; further reasons: NO_JUDGEMENT, BAD_RANKING (an index is missing,
// repeated or out of range), BAD_VOTES, ALL_TIES, EQUAL_RESPONSES.
absl::StatusOr<PreferenceLine> ParseJudged(absl::string_view line);

// A line that was not used.
struct SetAside {
  std::string file;
  int64_t line = 0;
  std::string reason;   // As above.
  std::string message;  // Names the field and the fix.
};

struct PreferenceSet {
  std::vector<PreferenceItem> items;
  std::map<std::string, int64_t> set_aside;  // Count by reason.
  std::vector<SetAside> first_set_aside;     // The first five.
};

// Reads the files in order. Lines that cannot be used are set aside and counted. NOT_FOUND;
// INVALID_ARGUMENT when a file is torn (gzip) or no line of all can be used.
absl::StatusOr<PreferenceSet> ReadPreferences(const std::vector<std::string>& paths);

// The lines of a file, plain or gzip, without their ends; an empty last line is left out.
absl::StatusOr<std::vector<std::string>> ReadLines(const std::string& path);

}  // namespace fairlead::trainer
