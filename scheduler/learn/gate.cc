#include "scheduler/learn/gate.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace fairlead::learn {
namespace {

constexpr double kNoise = 1.645;  // One-sided 95 %.

std::optional<double> Metric(const std::map<std::string, double>& metrics,
                             const std::string& name) {
  const auto it = metrics.find(name);
  if (it == metrics.end() || !std::isfinite(it->second)) return std::nullopt;
  return it->second;
}

// Standard error of the difference of two proportions, the counts smoothed by one right and one
// wrong, so that 100 % of few items is not taken for certain; nullopt without counts.
std::optional<double> StandardError(const GateInput& input, double challenger, double champion) {
  const auto n = Metric(input.challenger, input.count_metric);
  const auto m = Metric(input.champion, input.count_metric);
  if (!n || !m || *n < 1 || *m < 1) return std::nullopt;
  if (challenger < 0 || challenger > 1 || champion < 0 || champion > 1) return std::nullopt;
  const auto variance = [](double p, double count) {
    const double q = (p * count + 1) / (count + 2);
    return q * (1 - q) / (count + 2);
  };
  return std::sqrt(variance(challenger, *n) + variance(champion, *m));
}

// Standard errors by which the challenger leads, and how that was found.
std::optional<double> Lead(const GateInput& input, double challenger, double champion,
                           std::string& method) {
  const auto& a = input.challenger_right;
  const auto& b = input.champion_right;
  if (!a.empty() && a.size() == b.size()) {
    int gained = 0;
    int lost = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      gained += a[i] && !b[i] ? 1 : 0;
      lost += b[i] && !a[i] ? 1 : 0;
    }
    method = absl::StrCat("paired, ", gained, " gained, ", lost, " lost of ", a.size());
    return gained == lost ? 0 : (gained - lost) / std::sqrt(static_cast<double>(gained + lost));
  }
  const auto error = StandardError(input, challenger, champion);
  method = error ? "two proportions" : "no counts";
  if (!error) return std::nullopt;
  return (challenger - champion) / *error;
}

std::optional<std::string> BrokenGuard(const GateInput& input) {
  for (const std::string& guard : input.guards) {
    const auto challenger = Metric(input.challenger, guard);
    const auto champion = Metric(input.champion, guard);
    if (!champion) continue;
    if (!challenger) return absl::StrCat("guard ", guard, " is missing or not finite");
    const double allowed = kNoise * StandardError(input, *challenger, *champion).value_or(0);
    if (*challenger < *champion - allowed) {
      return absl::StrFormat("guard %s fell from %.4f to %.4f, more than %.4f", guard, *champion,
                             *challenger, allowed);
    }
  }
  return std::nullopt;
}

}  // namespace

GateDecision DecidePromotion(const GateInput& input) {
  const auto challenger = Metric(input.challenger, input.metric);
  if (!challenger) {
    return {false, absl::StrCat("refused: ", input.metric, " is missing or not finite")};
  }
  if (!input.has_champion) {
    const bool above = *challenger > input.floor;
    return {above, absl::StrFormat("%s: first version, %s %.4f, floor %.4f",
                                   above ? "promoted" : "refused", input.metric, *challenger,
                                   input.floor)};
  }
  const auto champion = Metric(input.champion, input.metric);
  if (!champion) {
    return {false,
            absl::StrCat("refused: the champion's ", input.metric, " is missing or not finite")};
  }
  if (const auto broken = BrokenGuard(input)) return {false, absl::StrCat("refused: ", *broken)};
  std::string method;
  const std::optional<double> lead = Lead(input, *challenger, *champion, method);
  const bool better = *challenger > *champion;
  const bool enough = input.min_z <= 0 ? lead.value_or(0) >= 0 : lead && *lead >= input.min_z;
  const bool promote = better && enough;
  return {promote,
          absl::StrFormat("%s: %s %.4f against %.4f, z %s (%s), needed %.2f",
                          promote ? "promoted" : "refused", input.metric, *challenger, *champion,
                          lead ? absl::StrFormat("%.2f", *lead) : "unknown", method, input.min_z)};
}

}  // namespace fairlead::learn
