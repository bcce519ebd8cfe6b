#include "scheduler/quality/one_coin.h"

#include <cmath>

#include <algorithm>

namespace fairlead::quality {
namespace {

constexpr double kMaxQuality = 0.98;
constexpr double kMaxModelQuality = 0.97;
constexpr double kModelDiscount = 0.8;
constexpr double kAboveChance = 0.01;

}  // namespace

double ClampedQuality(double p, double alternatives) {
  const double least = 1 / alternatives + kAboveChance;
  return std::isnan(p) ? least : std::clamp(p, least, kMaxQuality);
}

double ModelQuality(double confidence, double alternatives) {
  const double least = 1 / alternatives + kAboveChance;
  if (std::isnan(confidence)) return least;
  const double c = std::clamp(confidence, 1e-6, 1 - 1e-6);
  const double log_odds = kModelDiscount * std::log(c / (1 - c));
  return std::clamp(1 / (1 + std::exp(-log_odds)), least, kMaxModelQuality);
}

double VoteLogOdds(double p, double alternatives) {
  return std::log(p * (alternatives - 1) / (1 - p));
}

void OneCoin::Add(absl::string_view key, double clamped_quality) {
  Tally& tally = tallies_[std::string(key)];
  tally.log_odds += VoteLogOdds(clamped_quality, alternatives_);
  ++tally.votes;
}

double OneCoin::alternatives() const {
  return std::max(alternatives_, static_cast<double>(tallies_.size()));
}

double OneCoin::LogTotal() const {
  double shift = 0;
  for (const auto& [key, tally] : tallies_) shift = std::max(shift, tally.log_odds);
  const double unobserved = alternatives() - static_cast<double>(tallies_.size());
  double total = unobserved * std::exp(-shift);
  for (const auto& [key, tally] : tallies_) total += std::exp(tally.log_odds - shift);
  return shift + std::log(total);
}

double OneCoin::Posterior(absl::string_view key) const {
  const auto it = tallies_.find(std::string(key));
  const double log_odds = it == tallies_.end() ? 0 : it->second.log_odds;
  return std::exp(log_odds - LogTotal());
}

std::string OneCoin::BestKey() const {
  const std::pair<const std::string, Tally>* best = nullptr;
  for (const auto& entry : tallies_) {
    const Tally& tally = entry.second;
    if (best == nullptr || tally.log_odds > best->second.log_odds ||
        (tally.log_odds == best->second.log_odds && tally.votes > best->second.votes)) {
      best = &entry;
    }
  }
  return best == nullptr ? "" : best->first;
}

double OneCoin::BestPosterior() const {
  return tallies_.empty() ? 1 / alternatives_ : Posterior(BestKey());
}

double RightProbability(double posterior, double prior, double alternatives) {
  const double right = posterior * prior;
  const double wrong = (1 - posterior) * (1 - prior) / (alternatives - 1);
  return right / (right + wrong);
}

}  // namespace fairlead::quality
