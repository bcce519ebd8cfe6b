// Text as numbers: SentencePiece models (Kudo and Richardson 2018) of byte-pair merges (Sennrich et
// al. 2016). Debian's library trains them; reading and encoding are our own, because its copy of
// protobuf cannot live in one process with libtorch's and because a model file may come from
// anyone. Torch-free.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace fairlead::trainer {

inline constexpr int kMaxVocabulary = 4000;

// Trains a model of at most `vocabulary` pieces (fewer when the text holds no more) on the texts;
// beyond 16 MB every n-th is taken. One thread, so equal texts give equal bytes. Runs the program
// fairlead-tokenizer that lies beside this one: FAILED_PRECONDITION when it does not.
// INVALID_ARGUMENT when the texts hold too little to learn from.
absl::StatusOr<std::string> TrainPieces(absl::Span<const absl::string_view> texts, int vocabulary);

// Immutable, so thread-safe.
class Tokenizer {
 public:
  // A serialised SentencePiece model of byte-pair merges with the normalisation that TrainPieces
  // gives it. DATA_LOSS with what is wrong; nothing of the bytes is trusted.
  static absl::StatusOr<Tokenizer> Parse(std::string model);

  // The first `most` pieces of the text as SentencePiece gives them: NFKC, one blank between words,
  // what is no UTF-8 as U+FFFD, runs of unknown characters as one. Reads no more of a long text
  // than these need. O(most · log most).
  std::vector<int32_t> Encode(absl::string_view text, size_t most) const;
  // The last `most` pieces of what the text ends with.
  std::vector<int32_t> EncodeTail(absl::string_view text, size_t most) const;

  int32_t pieces() const { return static_cast<int32_t>(pieces_.size()); }
  const std::string& Piece(int32_t id) const { return pieces_[id].text; }
  int32_t unknown() const { return unknown_; }
  const std::string& model() const { return model_; }

 private:
  struct Entry {
    std::string text;
    float score = 0;
    bool normal = false;
  };

  absl::Status ReadPiece(absl::string_view bytes);
  absl::Status ReadNormalizer(absl::string_view bytes);
  std::string Normalize(absl::string_view text) const;
  // What the text's first characters become, and how many bytes they are.
  std::pair<absl::string_view, size_t> NormalizePrefix(absl::string_view text) const;
  std::vector<int32_t> Merge(absl::string_view normalized) const;

  std::string model_;
  std::vector<Entry> pieces_;
  absl::flat_hash_map<std::string, int32_t> ids_;  // Of the pieces that merges may make.
  int32_t unknown_ = -1;
  std::vector<uint32_t> trie_;  // Double array of the characters that NFKC changes (Aoe 1989).
  std::string replacements_;    // Each ends with a zero byte.
};

// A response behind the end of its prompt.
struct TokenRow {
  std::vector<int32_t> ids;
  size_t response_begin = 0;  // Of the separator, which is the response's first token.
};

struct TokenLimits {
  size_t prompt = 48;  // Its last pieces.
  size_t total = 256;  // With separator and response, of which the first pieces stay.
};

// The separator is the number after the pieces.
TokenRow EncodeRow(const Tokenizer& tokenizer, const TokenLimits& limits, absl::string_view prompt,
                   absl::string_view response);

}  // namespace fairlead::trainer
