#include "scheduler/dispatch/policy.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
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
    {"time", &Policy::time},
    {"urgency", &Policy::urgency},
    {"newcomer_share", &Policy::newcomer_share},
    {"waiting_share", &Policy::waiting_share},
    {"newcomer_evidence", &Policy::newcomer_evidence},
    {"waiting_window_seconds", &Policy::waiting_window_seconds},
    {"fallback_seconds", &Policy::fallback_seconds},
};

// Entropy's term of one alternative; none for an impossible one.
double Surprise(double p) { return p > 0 ? -p * std::log(p) : 0; }

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

absl::Status SetWeight(absl::string_view assignment, Policy& policy) {
  const std::vector<std::string> parts = absl::StrSplit(assignment, absl::MaxSplits('=', 1));
  std::vector<std::string> names;
  for (const NamedWeight& weight : kWeights) {
    names.emplace_back(weight.name);
    if (parts[0] != weight.name) continue;
    double value = -1;
    if (parts.size() != 2 || !absl::SimpleAtod(parts[1], &value) || !(value >= 0) ||
        !std::isfinite(value)) {
      return FieldError("weight",
                        absl::StrCat(assignment, ": give ", parts[0], "=NUMBER, at least 0"));
    }
    policy.*weight.member = value;
    return absl::OkStatus();
  }
  return FieldError("weight", absl::StrCat("no weight \"", parts[0],
                                           "\"; there are: ", absl::StrJoin(names, ", ")));
}

double TimeCost(double expected_seconds) {
  const double root = std::sqrt(expected_seconds);
  return root * std::sqrt(std::sqrt(root));
}

double SecondsOfTimeCost(double cost) { return std::pow(cost, 1.6); }

double Index(const Features& f, double urgency, const Policy& p) {
  double index = p.gain * f.information_gain;
  index *= urgency;
  index *= 1 - p.fair + p.fair * std::sqrt(f.fair_share);
  index *= 1 + p.waiting * f.waiting;
  index *= 1 + p.newcomer * f.newcomer;
  index *= 1 - p.responsiveness + p.responsiveness * f.responsiveness;
  index *= 1 + p.floor * f.floor_claim;
  return index / (1 - p.time + p.time * TimeCost(f.expected_seconds));
}

double TypicalAlternatives(v1::TaskKind kind) {
  switch (kind) {
    case v1::TASK_KIND_PAIR:
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

double InformationGain(absl::Span<const double> posterior, double alternatives, double quality) {
  const double k = std::max(alternatives, 2.0);
  const double p = std::clamp(quality, 1 / k, 1.0);
  const double miss = (1 - p) / (k - 1);
  double answer = 0;  // Entropy of the answer.
  double rest = 1;
  for (const double truth : posterior) {
    const double q = std::clamp(truth, 0.0, 1.0);
    answer += Surprise(q * p + (1 - q) * miss);
    rest -= q;
  }
  const double others = k - static_cast<double>(posterior.size());
  if (others > 0) {
    const double q = std::max(rest, 0.0) / others;
    answer += others * Surprise(q * p + (1 - q) * miss);
  }
  const double given_truth = Surprise(p) + (k - 1) * Surprise(miss);
  return std::clamp((answer - given_truth) / std::log(k), kMinGain, 1.0);
}

double GoldGain(double quality_sd, double newcomer_sd, int gold_open) {
  const double spread = std::clamp(quality_sd / newcomer_sd, 0.0, 1.0);
  return std::max(spread / (1 + std::max(gold_open, 0)), kMinGain);
}

double GoldShare(double quality_sd, double newcomer_sd) {
  return std::clamp(kMostGold * quality_sd / newcomer_sd, kLeastGold, kMostGold);
}

bool IsDueForGold(double gold_share, int64_t gold, int64_t answers) {
  return static_cast<double>(gold) < gold_share * static_cast<double>(answers + 1);
}

}  // namespace fairlead::dispatch
