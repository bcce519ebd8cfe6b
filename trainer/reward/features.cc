#include "trainer/reward/features.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "trainer/reward/form.h"

namespace fairlead::trainer {
namespace {

using Buckets = std::vector<uint32_t>;

constexpr absl::string_view kStart("\x01"), kEnd("\x02");  // Bytes that no token has.
constexpr char kPromptField[] = "\x04";

bool IsWordByte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return absl::ascii_isalnum(byte) || c == '\'' || byte > 127;
}

bool IsWord(absl::string_view token) { return IsWordByte(token[0]); }

uint32_t BucketOf(absl::string_view text, int bits) {
  return static_cast<uint32_t>(StableHash64(text)) & ((uint32_t{1} << bits) - 1);
}

// Calls `visit(text)` for every run of 1 to `longest` tokens of the text, its start and end counted
// as tokens, though neither is a run by itself.
template <typename Visit>
void ForRuns(const std::vector<std::string>& tokens, int longest, const Visit& visit) {
  const size_t count = tokens.size() + 2;
  const auto at = [&](size_t i) -> absl::string_view {
    return i == 0 ? kStart : i + 1 == count ? kEnd : absl::string_view(tokens[i - 1]);
  };
  std::string run;
  for (size_t i = 0; i < count; ++i) {
    run = std::string(at(i));
    if (i > 0 && i + 1 < count) visit(run);
    for (size_t n = 1; n < static_cast<size_t>(longest) && i + n < count; ++n) {
      absl::StrAppend(&run, " ", at(i + n));
      visit(run);
    }
  }
}

Buckets RunBuckets(const std::vector<std::string>& tokens, absl::string_view field,
                   const FeatureOptions& options) {
  Buckets buckets;
  buckets.reserve(tokens.size() * static_cast<size_t>(options.run) + 1);
  std::string text(field);
  ForRuns(tokens, options.run, [&](const std::string& run) {
    text.resize(field.size());
    text += run;
    buckets.push_back(BucketOf(text, options.bits));
  });
  return buckets;
}

// Counts every bucket of `buckets` once.
void CountOnce(Buckets buckets, std::vector<float>& counts) {
  std::sort(buckets.begin(), buckets.end());
  buckets.erase(std::unique(buckets.begin(), buckets.end()), buckets.end());
  for (const uint32_t bucket : buckets) counts[bucket] += 1;
}

}  // namespace

std::vector<std::string> SplitTokens(absl::string_view text) {
  std::vector<std::string> tokens;
  bool in_word = false;
  for (const char c : text) {
    const bool word = IsWordByte(c);
    if (word && in_word) {
      tokens.back() += absl::ascii_tolower(static_cast<unsigned char>(c));
    } else if (word || absl::ascii_ispunct(static_cast<unsigned char>(c))) {
      tokens.emplace_back(1, absl::ascii_tolower(static_cast<unsigned char>(c)));
    }
    in_word = word;
  }
  return tokens;
}

std::vector<std::string> SplitWords(absl::string_view text) {
  std::vector<std::string> words = SplitTokens(text);
  words.erase(std::remove_if(words.begin(), words.end(),
                             [](const std::string& token) { return !IsWord(token); }),
              words.end());
  return words;
}

TextFeatures::TextFeatures(const FeatureOptions& options, std::vector<float> idf)
    : options_(options), idf_(std::move(idf)) {}

TextFeatures TextFeatures::Count(const FeatureOptions& options,
                                 const std::vector<const PreferenceItem*>& items) {
  std::vector<float> counts(size_t{1} << options.bits, 0.0f);
  double documents = 0;
  for (const PreferenceItem* item : items) {
    if (options.prompt > 0) {
      CountOnce(RunBuckets(SplitTokens(item->prompt), kPromptField, options), counts);
    }
    for (const std::string& response : item->responses) {
      documents += 1;
      CountOnce(RunBuckets(SplitTokens(response), "", options), counts);
    }
  }
  for (float& count : counts) {
    count = static_cast<float>(1 + std::log((1 + documents) / (1 + static_cast<double>(count))));
  }
  return TextFeatures(options, std::move(counts));
}

void TextFeatures::AddBlock(Buckets buckets, float length, SparseVector& vector) const {
  if (length <= 0 || buckets.empty()) return;
  std::sort(buckets.begin(), buckets.end());
  const size_t begin = vector.size();
  double squares = 0;
  for (size_t i = 0; i < buckets.size();) {
    size_t end = i;
    while (end < buckets.size() && buckets[end] == buckets[i]) ++end;
    const double tf = 1 + std::log(static_cast<double>(end - i));
    const double value = tf * (idf_.empty() ? 1.0 : idf_[buckets[i]]);
    squares += value * value;
    vector.emplace_back(buckets[i], static_cast<float>(value));
    i = end;
  }
  const auto scale = static_cast<float>(length / std::sqrt(squares));
  for (size_t i = begin; i < vector.size(); ++i) vector[i].second *= scale;
}

void TextFeatures::AddDense(absl::string_view prompt, absl::string_view response,
                            const std::vector<std::string>& tokens, SparseVector& vector) const {
  const Form form(SplitWords(prompt), response, tokens, [&](absl::string_view word) -> double {
    return idf_.empty() ? 1.0 : idf_[BucketOf(word, options_.bits)];
  });
  vector.emplace_back(Dense(kBias), 1.0f);
  vector.emplace_back(Dense(kLength),
                      options_.length * static_cast<float>(std::log1p(form.words())));
  if (options_.form <= 0) return;
  for (uint32_t i = 0; i < kFormNames.size(); ++i) {
    vector.emplace_back(Dense(kForm + i), options_.form * static_cast<float>(form.values()[i]));
  }
}

SparseVector TextFeatures::Of(absl::string_view prompt, absl::string_view response) const {
  const std::vector<std::string> tokens = SplitTokens(response);
  SparseVector vector;
  AddBlock(RunBuckets(tokens, "", options_), options_.response, vector);
  if (options_.prompt > 0) {
    AddBlock(RunBuckets(SplitTokens(prompt), kPromptField, options_), options_.prompt, vector);
  }
  AddDense(prompt, response, tokens, vector);
  std::sort(vector.begin(), vector.end());
  SparseVector merged;
  for (const auto& [bucket, value] : vector) {
    if (!merged.empty() && merged.back().first == bucket) {
      merged.back().second += value;
    } else {
      merged.emplace_back(bucket, value);
    }
  }
  return merged;
}

std::vector<std::pair<uint32_t, std::string>> TextFeatures::Named(
    absl::string_view response) const {
  std::vector<std::pair<uint32_t, std::string>> named;
  ForRuns(SplitTokens(response), options_.run, [&](const std::string& run) {
    if (run[0] == kStart[0] || run.back() == kEnd[0]) return;
    named.emplace_back(BucketOf(run, options_.bits), run);
  });
  for (uint32_t i = 0; i < kFormNames.size(); ++i) {
    named.emplace_back(Dense(kForm + i), std::string(kFormNames[i]));
  }
  std::sort(named.begin(), named.end());
  named.erase(std::unique(named.begin(), named.end()), named.end());
  return named;
}

}  // namespace fairlead::trainer
