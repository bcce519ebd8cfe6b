#include "scheduler/dispatch/explanation.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"

namespace fairlead::dispatch {
namespace {

// A hair more than equality needs, so that rounding cannot undo the flip.
constexpr double kNudge = 1 + 1e-9;

struct Lever {
  const char* name;
  double Features::*member;
  double least, most;
};

constexpr Lever kLevers[] = {
    {"information_gain", &Features::information_gain, 0, 1},
    {"expected_seconds", &Features::expected_seconds, 1e-3, 1e9},
    {"fair_share", &Features::fair_share, 0, kMaxFairShare},
    {"waiting", &Features::waiting, 0, kMaxWaiting},
    {"newcomer", &Features::newcomer, 0, 1},
    {"responsiveness", &Features::responsiveness, 0, 1},
};

// The value of one feature at which the index is `ratio` times what it is; others unchanged.
double Solve(const Lever& lever, const Features& f, const Policy& p, double ratio) {
  const double old = f.*lever.member;
  const auto linear = [&](double base, double weight) {
    return ((base + weight * old) * ratio - base) / weight;  // Infinite or NaN without weight.
  };
  if (lever.member == &Features::information_gain) return old * ratio;
  if (lever.member == &Features::expected_seconds) {
    const double cost = ((1 - p.time + p.time * TimeCost(old)) / ratio - 1 + p.time) / p.time;
    return cost >= 0 ? SecondsOfTimeCost(cost) : -1;
  }
  if (lever.member == &Features::fair_share) {
    const double root = ((1 - p.fair + p.fair * std::sqrt(old)) * ratio - 1 + p.fair) / p.fair;
    return root >= 0 ? root * root : -1;
  }
  if (lever.member == &Features::waiting) return linear(1, p.waiting);
  if (lever.member == &Features::newcomer) return linear(1, p.newcomer);
  return linear(1 - p.responsiveness, p.responsiveness);
}

void Fill(const Candidate& candidate, v1::Decision::Candidate& out) {
  out.set_contractor(candidate.contractor);
  out.set_quality_mean(candidate.quality_mean);
  out.set_quality_sampled(candidate.quality_sampled);
  out.set_information_gain(candidate.features.information_gain);
  out.set_expected_seconds(candidate.features.expected_seconds);
  out.set_fair_share(candidate.features.fair_share);
  out.set_waiting(candidate.features.waiting);
  out.set_newcomer(candidate.features.newcomer);
  out.set_responsiveness(candidate.features.responsiveness);
  out.set_floor_claim(candidate.features.floor_claim);
  out.set_index(candidate.index);
  out.set_excluded_by(candidate.excluded_by);
}

Features FeaturesOf(const v1::Decision::Candidate& candidate) {
  Features f;
  f.information_gain = candidate.information_gain();
  f.expected_seconds = candidate.expected_seconds();
  f.fair_share = candidate.fair_share();
  f.waiting = candidate.waiting();
  f.newcomer = candidate.newcomer();
  f.responsiveness = candidate.responsiveness();
  f.floor_claim = candidate.floor_claim();
  return f;
}

std::string FlipText(const std::vector<Candidate>& ranked, double urgency, const Policy& policy) {
  if (ranked.size() < 2) return "no other candidate was eligible";
  const std::optional<Flip> flip = SmallestFlip(ranked[0], ranked[1], urgency, policy);
  if (!flip.has_value()) return "no single change would have chosen the runner-up";
  return absl::StrFormat("the runner-up, had its %s been %.6g instead of %.6g", flip->feature,
                         flip->to, flip->from);
}

}  // namespace

std::optional<Flip> SmallestFlip(const Candidate& chosen, const Candidate& runner_up,
                                 double urgency, const Policy& policy) {
  if (!(runner_up.index > 0) || !std::isfinite(chosen.index)) return std::nullopt;
  const double ratio = chosen.index / runner_up.index * kNudge;
  std::optional<Flip> best;
  double smallest = 0;
  for (const Lever& lever : kLevers) {
    const double from = runner_up.features.*lever.member;
    const double to = Solve(lever, runner_up.features, policy, ratio);
    if (!(to >= lever.least && to <= lever.most)) continue;
    Features changed = runner_up.features;
    changed.*lever.member = to;
    if (!(Index(changed, urgency, policy) > chosen.index)) continue;
    const double size = std::abs(to - from) / std::max(1.0, std::abs(from));
    if (best.has_value() && size >= smallest) continue;
    best = Flip{lever.name, from, to};
    smallest = size;
  }
  return best;
}

v1::Decision Explain(const std::string& task, double urgency, const Policy& policy, uint64_t seed,
                     const std::vector<Candidate>& ranked, const std::vector<Candidate>& excluded) {
  v1::Decision decision;
  decision.set_task(task);
  decision.set_contractor(ranked.front().contractor);
  decision.set_policy_version(policy.version);
  for (const auto& [name, weight] : ToWeights(policy)) (*decision.mutable_weights())[name] = weight;
  decision.set_seed(seed);
  decision.set_urgency(urgency);
  decision.set_candidate_count(static_cast<int>(ranked.size() + excluded.size()));
  decision.set_rank(1);
  for (const std::vector<Candidate>* list : {&ranked, &excluded}) {
    for (const Candidate& candidate : *list) {
      if (decision.candidates_size() == kShownCandidates) break;
      Fill(candidate, *decision.add_candidates());
    }
  }
  decision.set_flip(FlipText(ranked, urgency, policy));
  return decision;
}

absl::StatusOr<std::string> Replay(const v1::Decision& decision) {
  const std::map<std::string, double> weights(decision.weights().begin(), decision.weights().end());
  ASSIGN_OR_RETURN(const Policy policy, FromWeights(weights));
  const v1::Decision::Candidate* best = nullptr;
  double best_index = 0;
  for (const v1::Decision::Candidate& candidate : decision.candidates()) {
    if (!candidate.excluded_by().empty()) continue;
    const double index = Index(FeaturesOf(candidate), decision.urgency(), policy);
    if (index != candidate.index()) {
      return Error(absl::StatusCode::kDataLoss, "REPLAY_MISMATCH",
                   absl::StrCat("decision ", decision.name(), ": the index of candidate ",
                                candidate.contractor(), " does not follow from its features"));
    }
    // Equal indices were put in order when the decision was made; the first one stands.
    if (best == nullptr || index > best_index) {
      best = &candidate;
      best_index = index;
    }
  }
  if (best == nullptr || best->contractor() != decision.contractor()) {
    return Error(absl::StatusCode::kDataLoss, "REPLAY_MISMATCH",
                 absl::StrCat("decision ", decision.name(), ": the policy chooses another one"));
  }
  return best->contractor();
}

}  // namespace fairlead::dispatch
