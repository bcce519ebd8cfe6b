#include "trainer/reward/tokenizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <queue>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace fairlead::trainer {
namespace {

constexpr absl::string_view kBlank("\xE2\x96\x81");        // U+2581, which stands for a blank.
constexpr absl::string_view kReplacement("\xEF\xBF\xBD");  // U+FFFD.
constexpr size_t kMostPieces = 65536;
constexpr size_t kMostBytesAPiece = 64;  // Of a merge; SentencePiece's longest has 16 characters.
constexpr int kByteBytePairs = 2;        // TrainerSpec.ModelType.BPE.

enum PieceType { kNormal = 1, kUnknown = 2, kControl = 3 };

absl::Status Broken(absl::string_view what) {
  return Error(absl::StatusCode::kDataLoss, "MODEL_FILE_CORRUPT",
               absl::StrCat("the tokenizer ", what));
}

// One field of a protobuf message (protobuf.dev, "Encoding"): a number or a stretch of bytes.
struct WireField {
  uint32_t number = 0;
  uint64_t value = 0;
  absl::string_view bytes;
};

class WireReader {
 public:
  explicit WireReader(absl::string_view bytes) : rest_(bytes) {}

  // The next field; nothing at the end, or when ok() has become false.
  std::optional<WireField> Next() {
    if (rest_.empty() || !ok_) return std::nullopt;
    WireField field;
    const uint64_t key = Varint();
    field.number = static_cast<uint32_t>(key >> 3);
    switch (key & 7) {
      case 0:
        field.value = Varint();
        break;
      case 1:
        field.value = Fixed(8);
        break;
      case 2:
        field.bytes = Take(Varint());
        break;
      case 5:
        field.value = Fixed(4);
        break;
      default:
        ok_ = false;
    }
    return ok_ ? std::optional(field) : std::nullopt;
  }
  bool ok() const { return ok_; }

 private:
  absl::string_view Take(uint64_t size) {
    ok_ = ok_ && size <= rest_.size();
    if (!ok_) return {};
    const absl::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const absl::string_view byte = Take(1);
      if (!ok_) return 0;
      value |= static_cast<uint64_t>(byte[0] & 0x7F) << shift;
      if ((byte[0] & 0x80) == 0) return value;
    }
    ok_ = false;
    return 0;
  }
  uint64_t Fixed(uint64_t size) {
    uint64_t value = 0;
    const absl::string_view bytes = Take(size);
    for (size_t i = 0; i < bytes.size(); ++i) {
      value |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    }
    return value;
  }

  absl::string_view rest_;
  bool ok_ = true;
};

// Bytes of the first character; 0 when it is no well-formed UTF-8 (RFC 3629).
size_t CharacterBytes(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto follows = [&](size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF && follows(1) && follows(2)) {
    const bool overlong = first == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = first == 0xED && byte(1) > 0x9F;
    return overlong || surrogate ? 0 : 3;
  }
  if (first >= 0xF0 && first <= 0xF4 && follows(1) && follows(2) && follows(3)) {
    const bool overlong = first == 0xF0 && byte(1) < 0x90;
    const bool beyond = first == 0xF4 && byte(1) > 0x8F;
    return overlong || beyond ? 0 : 4;
  }
  return 0;
}

// A part of the text that is a piece so far, in a list of its neighbours.
struct Symbol {
  int before = -1, after = -1;
  absl::string_view text;
};

struct Candidate {
  float score = 0;
  int left = 0, right = 0;
  size_t bytes = 0;  // Of both when it was found: other bytes now mean that it is out of date.
  // The best is the likeliest merge, of equal ones the leftmost.
  bool operator<(const Candidate& other) const {
    return score != other.score ? score < other.score : left > other.left;
  }
};

}  // namespace

absl::Status Tokenizer::ReadPiece(absl::string_view bytes) {
  Entry entry;
  uint64_t type = kNormal;
  WireReader reader(bytes);
  while (const auto field = reader.Next()) {
    if (field->number == 1) entry.text = std::string(field->bytes);
    if (field->number == 2) {
      const auto bits = static_cast<uint32_t>(field->value);
      std::memcpy(&entry.score, &bits, sizeof(bits));
    }
    if (field->number == 3) type = field->value;
  }
  if (!reader.ok() || entry.text.empty() || entry.text.size() > kMostBytesAPiece ||
      !std::isfinite(entry.score)) {
    return Broken(absl::StrCat("has a piece that is none: ", pieces_.size()));
  }
  const auto id = static_cast<int32_t>(pieces_.size());
  if (pieces_.size() >= kMostPieces) return Broken("has too many pieces");
  entry.normal = type == kNormal;
  if (type == kUnknown && unknown_ < 0) {
    unknown_ = id;
  } else if (type != kNormal && type != kControl) {
    return Broken(absl::StrCat("has a piece of another kind: ", id));
  }
  if (entry.normal && !ids_.emplace(entry.text, id).second) {
    return Broken(absl::StrCat("has a piece twice: ", id));
  }
  pieces_.push_back(std::move(entry));
  return absl::OkStatus();
}

absl::Status Tokenizer::ReadNormalizer(absl::string_view bytes) {
  absl::string_view map;
  WireReader reader(bytes);
  while (const auto field = reader.Next()) {
    if (field->number == 2) map = field->bytes;
    if (field->number >= 3 && field->number <= 5 && field->value != 1) {
      return Broken("treats blanks in another way");
    }
  }
  if (!reader.ok() || map.size() < sizeof(uint32_t)) return Broken("has no normalisation");
  uint32_t trie_bytes = 0;
  for (size_t i = 0; i < sizeof(trie_bytes); ++i) {
    trie_bytes |= static_cast<uint32_t>(static_cast<unsigned char>(map[i])) << (8 * i);
  }
  map.remove_prefix(sizeof(trie_bytes));
  if (trie_bytes % sizeof(uint32_t) != 0 || trie_bytes == 0 || trie_bytes >= map.size() ||
      map.back() != '\0') {
    return Broken("has a normalisation of another size than it says");
  }
  trie_.resize(trie_bytes / sizeof(uint32_t));
  std::memcpy(trie_.data(), map.data(), trie_bytes);
  replacements_ = std::string(map.substr(trie_bytes));
  return absl::OkStatus();
}

absl::StatusOr<Tokenizer> Tokenizer::Parse(std::string model) {
  Tokenizer tokenizer;
  bool merges = false;
  WireReader reader(model);
  while (const auto field = reader.Next()) {
    if (field->number == 1) RETURN_IF_ERROR(tokenizer.ReadPiece(field->bytes));
    if (field->number == 3) RETURN_IF_ERROR(tokenizer.ReadNormalizer(field->bytes));
    if (field->number != 2) continue;
    WireReader settings(field->bytes);
    while (const auto setting = settings.Next()) {
      if (setting->number == 3) merges = setting->value == kByteBytePairs;
    }
    if (!settings.ok()) return Broken("has settings that are none");
  }
  if (!reader.ok()) return Broken("is no SentencePiece model");
  if (!merges) return Broken("is no model of byte-pair merges");
  if (tokenizer.unknown_ < 0 || tokenizer.trie_.empty()) return Broken("is not whole");
  tokenizer.model_ = std::move(model);
  return tokenizer;
}

std::pair<absl::string_view, size_t> Tokenizer::NormalizePrefix(absl::string_view text) const {
  // darts-clone's unit: bit 8 leaf below, bits 31 and 7–0 label, bits 30–10 offset, bit 9 its
  // scale.
  const auto offset = [](uint32_t unit) { return (unit >> 10) << ((unit & (1U << 9)) >> 6); };
  size_t longest = 0;
  uint32_t value = 0;
  size_t node = offset(trie_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (node >= trie_.size() || (trie_[node] & ((1U << 31) | 0xFF)) != byte) break;
    const uint32_t unit = trie_[node];
    node ^= offset(unit);
    if ((unit >> 8 & 1) == 0) continue;
    if (node >= trie_.size()) break;
    value = trie_[node] & ((1U << 31) - 1);
    longest = i + 1;
  }
  if (longest > 0 && value < replacements_.size()) {
    return {absl::string_view(replacements_.data() + value), longest};
  }
  const size_t bytes = CharacterBytes(text);
  return bytes == 0 ? std::make_pair(kReplacement, size_t{1})
                    : std::make_pair(text.substr(0, bytes), bytes);
}

std::string Tokenizer::Normalize(absl::string_view text) const {
  std::string result;
  bool after_blank = true;  // Blanks at the start are left out.
  while (!text.empty()) {
    auto [part, bytes] = NormalizePrefix(text);
    text.remove_prefix(bytes);
    for (const char c : part) {
      if (c == ' ') {
        after_blank = true;
        continue;
      }
      if (after_blank) absl::StrAppend(&result, kBlank);
      after_blank = false;
      result.push_back(c);
    }
  }
  return result;
}

std::vector<int32_t> Tokenizer::Merge(absl::string_view normalized) const {
  std::vector<Symbol> symbols;
  for (absl::string_view rest = normalized; !rest.empty();) {
    const size_t bytes = std::max<size_t>(1, CharacterBytes(rest));
    const int index = static_cast<int>(symbols.size());
    symbols.push_back({index - 1, index + 1, rest.substr(0, bytes)});
    rest.remove_prefix(bytes);
  }
  if (symbols.empty()) return {};
  symbols.back().after = -1;
  std::priority_queue<Candidate> candidates;
  const auto offer = [&](int left, int right) {
    if (left < 0 || right < 0) return;
    const size_t bytes = symbols[left].text.size() + symbols[right].text.size();
    if (bytes > kMostBytesAPiece) return;
    const auto at = ids_.find(absl::string_view(symbols[left].text.data(), bytes));
    if (at != ids_.end()) candidates.push({pieces_[at->second].score, left, right, bytes});
  };
  for (int i = 1; i < static_cast<int>(symbols.size()); ++i) offer(i - 1, i);
  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Symbol& left = symbols[best.left];
    Symbol& right = symbols[best.right];
    if (left.text.empty() || right.text.empty() ||
        left.text.size() + right.text.size() != best.bytes) {
      continue;
    }
    left.text = absl::string_view(left.text.data(), best.bytes);
    left.after = right.after;
    if (right.after >= 0) symbols[right.after].before = best.left;
    right.text = {};
    offer(left.before, best.left);
    offer(best.left, left.after);
  }
  std::vector<int32_t> ids;
  for (int i = 0; i >= 0; i = symbols[i].after) {
    const auto at = ids_.find(symbols[i].text);
    const int32_t id = at == ids_.end() ? unknown_ : at->second;
    if (id != unknown_ || ids.empty() || ids.back() != unknown_) ids.push_back(id);
  }
  return ids;
}

std::vector<int32_t> Tokenizer::Encode(absl::string_view text, size_t most) const {
  std::vector<int32_t> ids = Merge(Normalize(text.substr(0, most * kMostBytesAPiece)));
  if (ids.size() > most) ids.resize(most);
  return ids;
}

std::vector<int32_t> Tokenizer::EncodeTail(absl::string_view text, size_t most) const {
  const size_t kept = most * kMostBytesAPiece;
  if (text.size() > kept) text.remove_prefix(text.size() - kept);
  // A cut character's rest is none.
  while (!text.empty() && (text[0] & 0xC0) == 0x80) text.remove_prefix(1);
  std::vector<int32_t> ids = Merge(Normalize(text));
  if (ids.size() > most) ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(most));
  return ids;
}

TokenRow EncodeRow(const Tokenizer& tokenizer, const TokenLimits& limits, absl::string_view prompt,
                   absl::string_view response) {
  TokenRow row;
  row.ids = tokenizer.EncodeTail(prompt, std::min(limits.prompt, limits.total - 1));
  row.response_begin = row.ids.size();
  row.ids.push_back(tokenizer.pieces());
  for (const int32_t id : tokenizer.Encode(response, limits.total - row.ids.size())) {
    row.ids.push_back(id);
  }
  return row;
}

}  // namespace fairlead::trainer
