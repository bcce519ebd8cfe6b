#include "scheduler/dispatch/policy.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace fairlead::dispatch {
namespace {

struct NamedWeight {
  const char* name;
  double Policy::*member;
};

constexpr NamedWeight kWeights[] = {
    {"gain", &Policy::gain},
    {"fair", &Policy::fair},
    {"waiting", &Policy::waiting},
    {"newcomer", &Policy::newcomer},
    {"responsiveness", &Policy::responsiveness},
    {"floor", &Policy::floor},
    {"urgency", &Policy::urgency},
    {"newcomer_share", &Policy::newcomer_share},
    {"waiting_share", &Policy::waiting_share},
    {"newcomer_evidence", &Policy::newcomer_evidence},
    {"waiting_window_seconds", &Policy::waiting_window_seconds},
    {"fallback_seconds", &Policy::fallback_seconds},
};

// The classes of a CLASS task and the length of a RANKING are not known here; a typical number
// serves, since it only sets how fast the gain grows with quality.
double EffectiveAlternatives(v1::TaskKind kind) {
  switch (kind) {
    case v1::TASK_KIND_PAIR:
      return 2;
    case v1::TASK_KIND_RANKING:
      return 2;
    case v1::TASK_KIND_CLASS:
      return 4;
    case v1::TASK_KIND_RATING:
      return 5;
    default:
      return 20;
  }
}

}  // namespace

Policy DefaultPolicy() { return Policy(); }

std::map<std::string, double> ToWeights(const Policy& policy) {
  std::map<std::string, double> weights;
  for (const NamedWeight& weight : kWeights) weights[weight.name] = policy.*weight.member;
  return weights;
}

absl::StatusOr<Policy> FromWeights(const std::map<std::string, double>& weights) {
  Policy policy;
  for (const NamedWeight& weight : kWeights) {
    const auto it = weights.find(weight.name);
    if (it == weights.end()) {
      return Error(absl::StatusCode::kInvalidArgument, "POLICY_INCOMPLETE",
                   absl::StrCat("policy weight missing: ", weight.name));
    }
    policy.*weight.member = it->second;
  }
  return policy;
}

double Index(const Features& f, double urgency, const Policy& p) {
  double index = p.gain * f.information_gain;
  index *= urgency;
  index *= 1 + p.fair * f.fair_share;
  index *= 1 + p.waiting * f.waiting;
  index *= 1 + p.newcomer * f.newcomer;
  index *= 1 - p.responsiveness + p.responsiveness * f.responsiveness;
  index *= 1 + p.floor * f.floor_claim;
  return index / std::sqrt(f.expected_seconds);
}

double InformationGain(v1::TaskKind kind, double quality, double openness) {
  const double k = EffectiveAlternatives(kind);
  const double p = std::clamp(quality, 1 / k, 1.0);
  double entropy = 0;  // Of the answer, given the truth.
  if (p < 1) entropy = -p * std::log(p) - (1 - p) * std::log((1 - p) / (k - 1));
  const double gain = (1 - entropy / std::log(k)) * std::clamp(openness, 0.0, 1.0);
  return std::max(gain, kMinGain);
}

double GoldGain(double quality_sd, double newcomer_sd, int gold_open) {
  const double spread = std::clamp(quality_sd / newcomer_sd, 0.0, 1.0);
  return std::max(spread / (1 + std::max(gold_open, 0)), kMinGain);
}

}  // namespace fairlead::dispatch
