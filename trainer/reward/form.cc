#include "trainer/reward/form.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"

namespace fairlead::trainer {
namespace {

constexpr double kLongSentence = 60;  // Words; longer ones are all the same.

bool EndsSentence(char c) { return c == '.' || c == '!' || c == '?'; }

struct TakenUp {
  double of_prompt = 0, of_response = 0;
  double first = 1;  // Where the response first takes up a word that is rare in the prompt.
};

TakenUp Compare(const std::vector<std::string>& prompt, const std::vector<std::string>& words,
                const absl::flat_hash_set<absl::string_view>& said,
                const std::function<double(absl::string_view)>& rarity) {
  TakenUp taken;
  if (prompt.empty()) return taken;
  const absl::flat_hash_set<absl::string_view> asked(prompt.begin(), prompt.end());
  double all = 0, taken_up = 0, weight = 0, repeated = 0, rarest = 0;
  for (const std::string& word : prompt) {
    all += rarity(word);
    taken_up += said.contains(word) ? rarity(word) : 0;
  }
  for (size_t i = 0; i < words.size(); ++i) {
    const double rare = rarity(words[i]);
    weight += rare;
    if (!asked.contains(words[i])) continue;
    repeated += rare;
    if (rare <= rarest) continue;
    rarest = rare;
    taken.first = static_cast<double>(i) / static_cast<double>(words.size());
  }
  taken.of_prompt = taken_up / all;
  taken.of_response = repeated / weight;
  return taken;
}

}  // namespace

Form::Form(const std::vector<std::string>& prompt, absl::string_view response,
           const std::vector<std::string>& tokens,
           const std::function<double(absl::string_view)>& rarity) {
  std::vector<std::string> words;
  double digits = 0, sentences = 0, questions = 0, commas = 0, brackets = 0;
  for (const std::string& token : tokens) {
    const char c = token[0];
    if (!absl::ascii_ispunct(static_cast<unsigned char>(c)) || c == '\'') {
      words.push_back(token);
      digits += absl::ascii_isdigit(static_cast<unsigned char>(c)) ? 1 : 0;
    }
    sentences += EndsSentence(c) ? 1 : 0;
    questions += c == '?' ? 1 : 0;
    commas += c == ',' ? 1 : 0;
    brackets += c == '(' ? 1 : 0;
  }
  words_ = words.size();
  if (words_ == 0) return;
  double capitals = 0;
  for (size_t i = 0; i < response.size(); ++i) {
    const bool starts = i == 0 || !absl::ascii_isalnum(static_cast<unsigned char>(response[i - 1]));
    capitals += starts && absl::ascii_isupper(static_cast<unsigned char>(response[i])) ? 1 : 0;
  }
  const auto count = static_cast<double>(words_);
  sentences = std::max(1.0, sentences);
  const absl::flat_hash_set<absl::string_view> said(words.begin(), words.end());
  const TakenUp taken = Compare(prompt, words, said, rarity);
  const absl::string_view trimmed = absl::StripTrailingAsciiWhitespace(response);
  values_ = {taken.of_prompt,
             taken.of_response,
             static_cast<double>(said.size()) / count,
             taken.first,
             digits / count,
             std::min(count / sentences, kLongSentence) / kLongSentence,
             std::min(1.0, 5 * commas / count),
             std::min(1.0, 10 * brackets / count),
             std::min(1.0, capitals / count),
             EndsSentence(trimmed.back()) ? 1.0 : 0.0,
             questions / sentences};
}

}  // namespace fairlead::trainer
