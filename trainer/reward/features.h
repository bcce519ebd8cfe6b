// Text as a sparse vector: hashed n-grams weighed by how rare they are. Torch-free; equal on every
// machine. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "trainer/train.h"

namespace fairlead::trainer {

// Bucket and value, sorted by bucket, each bucket once.
using SparseVector = std::vector<std::pair<uint32_t, float>>;

// Words are runs of letters, digits, apostrophes and bytes above 127, ASCII lower-cased.
std::vector<std::string> SplitWords(absl::string_view text);

// What is put into the vector; each block has its own length, 0 leaves it out.
struct FeatureOptions {
  int bits = 18;
  float words = 1.0f;
  float word_pairs = 0.3f;  // Two words that follow one another.
  float prompt = 0.0f;      // Words of the prompt; only a response that stands alone needs them.
  float crosses = 0.0f;     // A word of the prompt with a word of the response.
  float overlap = 4.0f;     // How the response takes up the prompt's words.
  float length = 0.0f;      // ln(1 + words), as a nuisance.
};

// Buckets past the hashed ones.
enum DenseBucket : uint32_t { kBias, kLength, kOverlap, kDenseBuckets = kOverlap + 8 };

// n-gram blocks: tf–idf as of Salton and Buckley (1988), tf = 1 + ln(count), idf = 1 + ln((1 + N) /
// (1 + df)), each block then scaled to its length, so that long texts do not win by length alone.
// Length itself is a bucket of its own (kLength), to be learned and not served.
class TextFeatures {
 public:
  // idf of every bucket, 2^bits of them; with an empty one every bucket weighs 1.
  TextFeatures(const FeatureOptions& options, std::vector<float> idf);

  // Counts in how many responses of the items each bucket occurs. O(text).
  static TextFeatures Count(const FeatureOptions& options,
                            const std::vector<const PreferenceItem*>& items);

  // O(text · log text).
  SparseVector Of(absl::string_view prompt, absl::string_view response) const;

  const FeatureOptions& options() const { return options_; }
  const std::vector<float>& idf() const { return idf_; }
  size_t buckets() const { return (size_t{1} << options_.bits) + kDenseBuckets; }
  uint32_t Dense(uint32_t which) const { return (uint32_t{1} << options_.bits) + which; }
  // The buckets of a response's words and pairs of words, with the text of each.
  std::vector<std::pair<uint32_t, std::string>> Named(absl::string_view response) const;

 private:
  void AddBlock(std::vector<uint32_t> buckets, float length, SparseVector& vector) const;
  void AddDense(const std::vector<std::string>& prompt, const std::vector<std::string>& words,
                SparseVector& vector) const;
  std::vector<uint32_t> Crosses(const std::vector<std::string>& prompt,
                                const std::vector<std::string>& words) const;

  const FeatureOptions options_;
  const std::vector<float> idf_;
};

}  // namespace fairlead::trainer
