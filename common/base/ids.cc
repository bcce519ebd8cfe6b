#include "common/base/ids.h"

#include <sys/random.h>

#include <algorithm>
#include <vector>

#include "absl/random/distributions.h"
#include "absl/strings/escaping.h"
#include "common/base/log.h"

namespace fairlead {
namespace {

constexpr char kAlphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";  // Crockford: no i, l, o, u.
constexpr int kIdLength = 26;

}  // namespace

std::string NewId(absl::Time now, absl::BitGenRef gen) {
  const uint64_t millis = static_cast<uint64_t>(absl::ToUnixMillis(now)) & 0xFFFFFFFFFFFFull;
  const uint64_t low = absl::Uniform<uint64_t>(gen);
  const uint64_t high = (millis << 16) | absl::Uniform<uint16_t>(gen);
  std::string id(kIdLength, '0');
  // 130 bits of text for 128 of value: the first character carries only three bits.
  unsigned __int128 value = (static_cast<unsigned __int128>(high) << 64) | low;
  for (int i = kIdLength - 1; i >= 0; --i) {
    id[i] = kAlphabet[static_cast<unsigned>(value & 31)];
    value >>= 5;
  }
  return id;
}

bool IsId(absl::string_view text) {
  return text.size() == kIdLength && std::all_of(text.begin(), text.end(), [](char c) {
           return c != '\0' && absl::string_view(kAlphabet).find(c) != absl::string_view::npos;
         });
}

bool IsSlug(absl::string_view text) {
  if (text.empty() || text.size() > 63 || text.back() == '-') return false;
  if (text[0] < 'a' || text[0] > 'z') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::string RandomHex(int bytes) {
  std::string raw(bytes, '\0');
  size_t filled = 0;
  while (filled < raw.size()) {
    const ssize_t got = getrandom(raw.data() + filled, raw.size() - filled, 0);
    FAIRLEAD_CHECK(got > 0) << "getrandom failed";
    filled += static_cast<size_t>(got);
  }
  return absl::BytesToHexString(raw);
}

}  // namespace fairlead
