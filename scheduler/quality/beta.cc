#include "scheduler/quality/beta.h"

#include <cmath>

#include <algorithm>

namespace fairlead::quality {
namespace {

// std::lgamma writes the global signgam, a data race; the re-entrant form does not.
double LogGamma(double x) {
  int sign = 0;
  return lgamma_r(x, &sign);
}

double ContinuedFraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  constexpr int kMaxSteps = 2000;
  const auto guard = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double c = 1;
  double d = 1 / guard(1 - (a + b) * x / (a + 1));
  double h = d;
  for (int m = 1; m <= kMaxSteps; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / guard(1 + even * d);
    c = guard(1 + even / c);
    h *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / guard(1 + odd * d);
    c = guard(1 + odd / c);
    const double step = d * c;
    h *= step;
    if (std::abs(step - 1) < 1e-14) break;
  }
  return h;
}

// -log B(a, b).
double LogScale(double a, double b) { return LogGamma(a + b) - LogGamma(a) - LogGamma(b); }

double CdfAt(double a, double b, double log_scale, double x) {
  if (!(x > 0)) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(log_scale + a * std::log(x) + b * std::log1p(-x));
  // The fraction converges fast on one side of the mean; the other side is its mirror image.
  if (x < (a + 1) / (a + b + 2)) return front * ContinuedFraction(a, b, x) / a;
  return 1 - front * ContinuedFraction(b, a, 1 - x) / b;
}

// A standard normal by the polar method; one of its two values is thrown away to stay stateless.
double NextNormal(uint64_t& state) {
  for (;;) {
    const double u = 2 * NextUniform(state) - 1;
    const double v = 2 * NextUniform(state) - 1;
    const double s = u * u + v * v;
    if (s > 0 && s < 1) return u * std::sqrt(-2 * std::log(s) / s);
  }
}

double GammaSample(double shape, uint64_t& state) {
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = NextNormal(state);
    const double root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    const double u = NextUniform(state);
    if (std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

}  // namespace

uint64_t NextRandom(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

double NextUniform(uint64_t& state) {
  return (static_cast<double>(NextRandom(state) >> 11) + 0.5) * 0x1.0p-53;
}

uint64_t MixSeeds(uint64_t a, uint64_t b) {
  uint64_t state = a;
  state = NextRandom(state) ^ b;
  return NextRandom(state);
}

double BetaCdf(double a, double b, double x) { return CdfAt(a, b, LogScale(a, b), x); }

double BetaQuantile(double a, double b, double probability) {
  if (!(probability > 0)) return 0;
  if (probability >= 1) return 1;
  const double log_scale = LogScale(a, b);
  double low = 0;
  double high = 1;
  double x = a / (a + b);
  for (int i = 0; i < 60; ++i) {
    const double above = CdfAt(a, b, log_scale, x) - probability;
    (above < 0 ? low : high) = x;
    const double density = std::exp(log_scale + (a - 1) * std::log(x) + (b - 1) * std::log1p(-x));
    double next = x - above / density;
    if (!(next > low && next < high)) next = 0.5 * (low + high);
    if (std::abs(next - x) < 1e-12) return next;
    x = next;
  }
  return x;
}

double BetaSample(double a, double b, uint64_t seed) {
  uint64_t state = seed;
  const double x = GammaSample(std::max(a, 1.0), state);
  const double y = GammaSample(std::max(b, 1.0), state);
  return x / (x + y);
}

}  // namespace fairlead::quality
