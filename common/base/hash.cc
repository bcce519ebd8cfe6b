#include "common/base/hash.h"

#include <openssl/evp.h>

#include <array>

#include "absl/strings/escaping.h"
#include "common/base/log.h"

namespace fairlead {

struct Sha256::Context {
  EVP_MD_CTX* md = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(md); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  FAIRLEAD_CHECK(EVP_DigestInit_ex(context_->md, EVP_sha256(), nullptr) == 1) << "sha256 init";
}
Sha256::~Sha256() = default;

void Sha256::Update(absl::string_view bytes) {
  FAIRLEAD_CHECK(EVP_DigestUpdate(context_->md, bytes.data(), bytes.size()) == 1)
      << "sha256 update";
}

std::string Sha256::FinishHex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  FAIRLEAD_CHECK(EVP_DigestFinal_ex(context_->md, digest, &size) == 1) << "sha256 final";
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<char*>(digest), size));
}

std::string Sha256Hex(absl::string_view bytes) {
  Sha256 sha;
  sha.Update(bytes);
  return sha.FinishHex();
}

uint32_t Crc32c(absl::string_view bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> t{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) c = (c & 1) ? (c >> 1) ^ 0x82F63B78u : c >> 1;
      t[i] = c;
    }
    return t;
  }();
  uint32_t crc = 0xFFFFFFFFu;
  for (unsigned char byte : bytes) crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8);
  return crc ^ 0xFFFFFFFFu;
}

uint64_t StableHash64(absl::string_view bytes) {
  uint64_t h = 0xCBF29CE484222325ull;
  for (unsigned char byte : bytes) h = (h ^ byte) * 0x100000001B3ull;
  h ^= h >> 33;
  h *= 0xFF51AFD7ED558CCDull;
  return h ^ (h >> 33);
}

}  // namespace fairlead
