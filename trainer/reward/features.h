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

// Words are runs of letters, digits, apostrophes and bytes above 127, ASCII lower-cased; every
// other printable ASCII character is a token of its own.
std::vector<std::string> SplitTokens(absl::string_view text);

// The tokens that are words.
std::vector<std::string> SplitWords(absl::string_view text);

// What is put into the vector; each block has its own length, 0 leaves it out.
struct FeatureOptions {
  int bits = 18;
  int run = 2;            // Longest run of tokens that is a feature.
  float response = 1.0f;  // Runs of the response's tokens.
  float prompt = 0.0f;    // Of the prompt's; only a response that stands alone needs them.
  float form = 4.0f;      // How the response is written and takes up the prompt's words.
  float length = 0.0f;    // ln(1 + words), as a nuisance.
};

// Buckets past the hashed ones.
enum DenseBucket : uint32_t { kBias, kLength, kForm, kDenseBuckets = kForm + 16 };

// Blocks of runs: tf–idf as of Salton and Buckley (1988), tf = 1 + ln(count), idf = 1 + ln((1 + N)
// / (1 + df)), each block then scaled to its length, so that long texts do not win by length alone.
// Start and end of a text are tokens. Length itself is a bucket of its own (kLength), to be learned
// and not served; the buckets of form are shares and rates, which do not grow with it.
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
  // The buckets of a response, the hashed and those of form, with a name for each.
  std::vector<std::pair<uint32_t, std::string>> Named(absl::string_view response) const;

 private:
  void AddBlock(std::vector<uint32_t> buckets, float length, SparseVector& vector) const;
  void AddDense(absl::string_view prompt, absl::string_view response,
                const std::vector<std::string>& tokens, SparseVector& vector) const;

  const FeatureOptions options_;
  const std::vector<float> idf_;
};

}  // namespace fairlead::trainer
