#include "scheduler/dispatch/standing.h"

#include <algorithm>
#include <cmath>

#include "scheduler/quality/beta.h"

namespace fairlead::dispatch {
namespace {

// Accepting four of five offers in time is as good as all of them.
constexpr double kResponsivenessPlateau = 0.8;
constexpr double kOnlinePart = 0.5;  // Of the entitlement; the rest is the same for all.

}  // namespace

Standing StandingOf(const quality::ContractorScore& score, double offer_window_seconds,
                    const Policy& policy) {
  Standing s;
  s.right = score.right;
  s.wrong = score.wrong;
  s.quality_mean = quality::QualityMean(score);
  s.quality_sd = quality::QualitySd(score);
  s.expected_seconds = quality::ExpectedSeconds(score, policy.fallback_seconds);
  s.responsiveness = std::min(
      1.0, quality::AcceptProbability(score, offer_window_seconds) / kResponsivenessPlateau);
  if (policy.newcomer_evidence > 0) {
    s.newcomer = std::max(0.0, 1 - quality::Evidence(score) / policy.newcomer_evidence);
  }
  return s;
}

double SampleQuality(const Standing& standing, uint64_t seed) {
  return quality::BetaSample(quality::kPriorRight + standing.right,
                             quality::kPriorWrong + standing.wrong, seed);
}

double FairShare(double earned, double online, const Totals& totals) {
  if (!(totals.earned > 0) || !(totals.online > 0) || !(totals.contractors > 0)) return 1;
  const double mean = totals.earned / totals.contractors;
  const double by_time = totals.earned * std::max(online, 0.0) / totals.online;
  const double entitled = kOnlinePart * by_time + (1 - kOnlinePart) * mean;
  return std::clamp((entitled + mean) / (std::max(earned, 0.0) + mean), 0.0, kMaxFairShare);
}

}  // namespace fairlead::dispatch
