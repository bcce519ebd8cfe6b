// Counter-based random numbers: Philox 4x32 with 10 rounds (Salmon, Moraes, Dror and Shaw,
// "Parallel random numbers: as easy as 1, 2, 3", SC 2011). A number depends on its key and counter
// alone, so there is no state to save and any thread can produce any part of a sequence.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace fairlead {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

// The bijection itself: 128 random bits for one counter under one key.
constexpr PhiloxCounter Philox4x32(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

// A stream of numbers named by (seed, epoch, item, purpose). Two streams with different names are
// independent. Cheap to make; not thread-safe.
class PhiloxStream {
 public:
  PhiloxStream(uint64_t seed, uint32_t epoch, uint32_t item, uint32_t purpose)
      : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
        counter_{0, epoch, item, purpose} {}

  uint32_t Next() {
    if (used_ == 4) {
      block_ = Philox4x32(counter_, key_);
      ++counter_[0];
      used_ = 0;
    }
    return block_[used_++];
  }

  // In [low, high).
  double Uniform(double low, double high) { return low + (high - low) * (Next() * 0x1p-32); }

  // In [0, bound), bound > 0; the bias is below 2^-32 × bound (Lemire's multiply-shift).
  uint32_t Below(uint32_t bound) { return static_cast<uint32_t>((uint64_t{Next()} * bound) >> 32); }

  // Standard normal (Box and Muller 1958).
  double Normal() {
    const double radius = std::sqrt(-2.0 * std::log((Next() + 1.0) * 0x1p-32));
    return radius * std::cos(2.0 * 3.14159265358979323846 * (Next() * 0x1p-32));
  }

 private:
  const PhiloxKey key_;
  PhiloxCounter counter_;
  PhiloxCounter block_ = {};
  int used_ = 4;
};

}  // namespace fairlead
