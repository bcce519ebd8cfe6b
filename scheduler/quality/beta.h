// The Beta distribution, as far as scores need it. Pure; thread-safe; equal inputs give equal bits.
#pragma once

#include <cstdint>

namespace fairlead::quality {

// The next number of the SplitMix64 sequence (Steele, Lea, Flood 2014); advances `state`.
uint64_t NextRandom(uint64_t& state);

// Uniform in (0, 1), never an end; advances `state`.
double NextUniform(uint64_t& state);

// One seed out of two, well mixed; not symmetric in its arguments.
uint64_t MixSeeds(uint64_t a, uint64_t b);

// The regularised incomplete beta function I_x(a, b) = P(Beta(a, b) <= x), by Lentz's continued
// fraction (DLMF 8.17.22). a, b > 0; x is clamped to [0, 1]. Error below 1e-10 for a, b <= 1e5.
double BetaCdf(double a, double b, double x);

// The x with BetaCdf(a, b, x) = probability, by Newton's steps within a bracket that halves where
// they would leave it; error below 1e-9. probability in [0, 1].
double BetaQuantile(double a, double b, double probability);

// One sample of Beta(a, b), a, b >= 1, as the ratio of two gamma samples (Marsaglia, Tsang 2000).
double BetaSample(double a, double b, uint64_t seed);

}  // namespace fairlead::quality
