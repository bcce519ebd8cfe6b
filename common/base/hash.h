// Digests: SHA-256 names content, CRC-32C guards records against torn and rotten bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace fairlead {

// SHA-256 of `bytes` as 64 lower-case hex characters (FIPS 180-4).
std::string Sha256Hex(absl::string_view bytes);

// The same in pieces. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void Update(absl::string_view bytes);
  std::string FinishHex();  // Once.

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// CRC-32C (Castagnoli, RFC 3720 appendix B.4); Crc32c("123456789") == 0xE3069283.
uint32_t Crc32c(absl::string_view bytes);

// A stable 64-bit hash (FNV-1a with a final mix), the same on every machine and in every version:
// for shard choice and splits, never against an adversary.
uint64_t StableHash64(absl::string_view bytes);

}  // namespace fairlead
