// The generators' own random numbers: item `index` of a set depends on (seed, index) and on nothing
// else, on every machine and in every version. SplitMix64 (Steele, Lea, Flood 2014).
#pragma once

#include <cmath>
#include <cstdint>
#include <iterator>

namespace fairlead {

// Not thread-safe; cheap to make, one an item.
class GenerateRandom {
 public:
  GenerateRandom(uint64_t seed, uint64_t index)
      : state_(Mix(Mix(seed) + (index + 1) * 0x9E3779B97F4A7C15ull)) {}

  uint64_t Bits() { return Mix(state_ += 0x9E3779B97F4A7C15ull); }
  // In [0, 1).
  double Unit() { return static_cast<double>(Bits() >> 11) * 0x1.0p-53; }
  // In [low, high).
  double Uniform(double low, double high) { return low + (high - low) * Unit(); }
  // In [low, high], both included.
  int Whole(int low, int high) {
    return low + static_cast<int>(Bits() % static_cast<uint64_t>(high - low + 1));
  }
  // Mean 0, deviation 1 (Box and Muller).
  double Normal() {
    const double radius = std::sqrt(-2 * std::log(1 - Unit()));
    return radius * std::cos(2 * 3.14159265358979323846 * Unit());
  }
  template <typename Container>
  const auto& Of(const Container& choices) {
    return choices[Bits() % std::size(choices)];
  }

 private:
  static uint64_t Mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }

  uint64_t state_;
};

}  // namespace fairlead
