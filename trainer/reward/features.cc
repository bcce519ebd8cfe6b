#include "trainer/reward/features.h"

#include <algorithm>
#include <cmath>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"

namespace fairlead::trainer {
namespace {

using Buckets = std::vector<uint32_t>;

uint32_t BucketOf(absl::string_view text, int bits) {
  return static_cast<uint32_t>(StableHash64(text)) & ((uint32_t{1} << bits) - 1);
}

// The text of a pair of words; marks for the start and the end are bytes that no word has.
std::string PairText(const std::vector<std::string>& words, size_t i) {
  const absl::string_view before = i == 0 ? absl::string_view("\x01") : words[i - 1];
  const absl::string_view after = i == words.size() ? absl::string_view("\x02") : words[i];
  return absl::StrCat(before, " ", after);
}

Buckets WordBuckets(const std::vector<std::string>& words, absl::string_view field, int bits) {
  Buckets buckets;
  for (const std::string& word : words)
    buckets.push_back(BucketOf(absl::StrCat(field, word), bits));
  return buckets;
}

Buckets PairBuckets(const std::vector<std::string>& words, int bits) {
  Buckets buckets;
  for (size_t i = 0; i <= words.size(); ++i) buckets.push_back(BucketOf(PairText(words, i), bits));
  return buckets;
}

constexpr size_t kCrossed = 32;
constexpr char kPromptField[] = "\x04";

// Counts every bucket of `buckets` once.
void CountOnce(Buckets buckets, std::vector<float>& counts) {
  std::sort(buckets.begin(), buckets.end());
  buckets.erase(std::unique(buckets.begin(), buckets.end()), buckets.end());
  for (const uint32_t bucket : buckets) counts[bucket] += 1;
}

}  // namespace

std::vector<std::string> SplitWords(absl::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '\'' || byte > 127) {
      words.back() += absl::ascii_tolower(byte);
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
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
      const auto prompt = SplitWords(item->prompt);
      CountOnce(WordBuckets(prompt, kPromptField, options.bits), counts);
    }
    for (const std::string& response : item->responses) {
      const auto words = SplitWords(response);
      documents += 1;
      CountOnce(WordBuckets(words, "", options.bits), counts);
      if (options.word_pairs > 0) CountOnce(PairBuckets(words, options.bits), counts);
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

void TextFeatures::AddDense(const std::vector<std::string>& prompt,
                            const std::vector<std::string>& words, SparseVector& vector) const {
  vector.emplace_back(Dense(kBias), 1.0f);
  vector.emplace_back(Dense(kLength),
                      options_.length * static_cast<float>(std::log1p(words.size())));
  if (options_.overlap <= 0 || prompt.empty() || words.empty()) return;
  const auto idf = [&](const std::string& word) {
    return idf_.empty() ? 1.0 : idf_[BucketOf(word, options_.bits)];
  };
  const absl::flat_hash_set<std::string> asked(prompt.begin(), prompt.end());
  const absl::flat_hash_set<std::string> said(words.begin(), words.end());
  double all = 0, taken_up = 0, repeated = 0;
  for (const std::string& word : prompt) {
    all += idf(word);
    taken_up += said.contains(word) ? idf(word) : 0;
  }
  double weight = 0;
  for (const std::string& word : words) {
    weight += idf(word);
    repeated += asked.contains(word) ? idf(word) : 0;
  }
  const double distinct = static_cast<double>(said.size()) / static_cast<double>(words.size());
  double first = 1;  // Where the response first takes up a word that is rare in the prompt.
  double rarest = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    if (asked.contains(words[i]) && idf(words[i]) > rarest) {
      rarest = idf(words[i]);
      first = static_cast<double>(i) / static_cast<double>(words.size());
    }
  }
  double digits = 0;
  for (const std::string& word : words) {
    digits += absl::ascii_isdigit(static_cast<unsigned char>(word[0])) ? 1 : 0;
  }
  const double values[] = {taken_up / all, repeated / weight, distinct, first,
                           digits / static_cast<double>(words.size())};
  for (uint32_t i = 0; i < std::size(values); ++i) {
    vector.emplace_back(Dense(kOverlap + i), static_cast<float>(options_.overlap * values[i]));
  }
}

Buckets TextFeatures::Crosses(const std::vector<std::string>& prompt,
                              const std::vector<std::string>& words) const {
  const auto distinct = [](std::vector<std::string> list) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    if (list.size() > kCrossed) list.resize(kCrossed);
    return list;
  };
  Buckets buckets;
  const std::vector<std::string> said = distinct(words);
  for (const std::string& asked : distinct(prompt)) {
    const uint64_t seed = StableHash64(asked);
    for (const std::string& word : said) {
      const uint64_t mixed =
          (seed ^ (StableHash64(word) * 0x9E3779B97F4A7C15)) * 0xBF58476D1CE4E5B9;
      buckets.push_back(static_cast<uint32_t>(mixed >> 40) & ((uint32_t{1} << options_.bits) - 1));
    }
  }
  return buckets;
}

SparseVector TextFeatures::Of(absl::string_view prompt, absl::string_view response) const {
  const std::vector<std::string> words = SplitWords(response);
  const std::vector<std::string> asked = SplitWords(prompt);
  const int bits = options_.bits;
  SparseVector vector;
  AddBlock(WordBuckets(words, "", bits), options_.words, vector);
  if (options_.word_pairs > 0) AddBlock(PairBuckets(words, bits), options_.word_pairs, vector);
  if (options_.prompt > 0) {
    AddBlock(WordBuckets(asked, kPromptField, bits), options_.prompt, vector);
  }
  if (options_.crosses > 0) AddBlock(Crosses(asked, words), options_.crosses, vector);
  AddDense(asked, words, vector);
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
  const std::vector<std::string> words = SplitWords(response);
  std::vector<std::pair<uint32_t, std::string>> named;
  for (const std::string& word : words) named.emplace_back(BucketOf(word, options_.bits), word);
  if (options_.word_pairs > 0) {
    for (size_t i = 1; i < words.size(); ++i) {
      named.emplace_back(BucketOf(PairText(words, i), options_.bits), PairText(words, i));
    }
  }
  std::sort(named.begin(), named.end());
  named.erase(std::unique(named.begin(), named.end()), named.end());
  return named;
}

}  // namespace fairlead::trainer
