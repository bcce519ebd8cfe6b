#include "scheduler/dispatch/match_round.h"

#include <algorithm>
#include <utility>

#include "common/base/hash.h"
#include "scheduler/quality/beta.h"

namespace fairlead::dispatch {
namespace {

// What a claim weighs in a window at most: above any other difference, but not so far that all
// other values lie within an assignment's slack.
constexpr double kWindowFloor = 30;
constexpr size_t kMostUnproven = 3;  // Shown of those who have yet to prove something.

double UrgencyOf(const ReadyTask& task, int64_t now_ms, const Policy& policy) {
  const double life = static_cast<double>(task.expire_ms - task.create_ms);
  if (life <= 0) return 1;
  const double gone = static_cast<double>(now_ms - task.create_ms) / life;
  return 1 + policy.urgency * std::clamp(gone, 0.0, 1.0);
}

double AlternativesOf(const ReadyTask& task) {
  return task.alternatives > 0 ? task.alternatives : TypicalAlternatives(task.kind);
}

// The probabilities that are known; a confidence below guessing says nothing.
absl::Span<const double> Known(const ReadyTask& task) {
  if (task.gold || !(task.confidence * AlternativesOf(task) > 1)) return {};
  return absl::MakeConstSpan(&task.confidence, 1);
}

Floor FloorOf(uint64_t place_seed, const Policy& policy) {
  uint64_t state = place_seed;
  const double u = quality::NextUniform(state);
  if (u < policy.newcomer_share) return Floor::kNewcomer;
  if (u < policy.newcomer_share + policy.waiting_share) return Floor::kWaiting;
  return Floor::kNone;
}

bool SameBucket(const ReadyTask& a, const ReadyTask& b) {
  return a.kind == b.kind && a.alternatives == b.alternatives && a.gold == b.gold &&
         a.paced == b.paced && a.pay_micros == b.pay_micros &&
         a.required_skills == b.required_skills && a.least_quality == b.least_quality &&
         a.named_skills == b.named_skills && a.excluded_skill == b.excluded_skill;
}

BucketKey KeyOf(const ReadyTask& task) {
  BucketKey key{
      task.kind,          AlternativesOf(task), task.gold, task.pay_micros, task.required_skills,
      task.least_quality, task.excluded_skill,  task.paced};
  std::sort(key.skills.begin(), key.skills.end());
  return key;
}

}  // namespace

MatchRound::MatchRound(absl::Span<const ReadyTask> tasks, const Policy& policy, uint64_t seed,
                       int64_t now_ms, FreeIndex& index)
    : index_(index), policy_(policy), now_ms_(now_ms), given_(tasks.size()) {
  index_.Refresh(now_ms);
  totals_ = index_.TotalsAt(now_ms);
  for (size_t i = 0; i < tasks.size(); ++i) {
    const ReadyTask& task = tasks[i];
    const bool repeats = i > 0 && !places_.empty() && places_.back().task_number + 1 == i &&
                         SameBucket(task, tasks[i - 1]);
    FreeIndex::Bucket* bucket =
        repeats ? places_.back().bucket : &index_.BucketFor(KeyOf(task), now_ms);
    FreeIndex::Bucket* ordinary = nullptr;
    if (task.least_quality > 0 || !task.named_skills.empty()) {
      BucketKey key = KeyOf(task);
      key.least_quality = 0;
      if (!task.named_skills.empty()) key.skills = task.named_skills;
      std::sort(key.skills.begin(), key.skills.end());
      ordinary = repeats ? places_.back().ordinary : &index_.BucketFor(key, now_ms);
    }
    const uint64_t task_seed = quality::MixSeeds(seed, StableHash64(task.task));
    const double urgency = UrgencyOf(task, now_ms, policy);
    for (int place = 0; place < task.places; ++place) {
      const uint64_t place_seed = quality::MixSeeds(task_seed, static_cast<uint64_t>(place));
      places_.push_back(
          {&task, i, bucket, ordinary, place_seed, urgency, FloorOf(place_seed, policy)});
    }
  }
}

bool MatchRound::Had(const Place& place, Slot slot) const {
  return !place.task->excluded.empty() && place.task->excluded.contains(index_.NameOf(slot));
}

double MatchRound::FloorClaim(const Place& place, Slot slot) const {
  if (place.floor == Floor::kNewcomer) return place.bucket->ranks.at(slot).newcomer != 0 ? 1 : 0;
  // The longer the wait, the stronger the claim, and so the order within the floor.
  if (place.floor == Floor::kWaiting) {
    const double windows = index_.WaitingOf(slot, now_ms_);
    return windows >= 1 ? windows : 0;
  }
  return 0;
}

Ranked MatchRound::Weigh(const Place& place, Slot slot) {
  const Member& member = index_.MemberAt(*place.bucket, slot, now_ms_);
  Ranked ranked;
  ranked.slot = slot;
  ranked.features = index_.FeaturesOf(*place.bucket, slot, totals_, now_ms_);
  if (const absl::Span<const double> known = Known(*place.task); !known.empty()) {
    ranked.features.information_gain =
        InformationGain(known, place.bucket->key.alternatives, member.sampled);
  }
  ranked.features.floor_claim = FloorClaim(place, slot);
  ranked.index = Index(ranked.features, place.urgency, policy_);
  return ranked;
}

double MatchRound::BaseIndex(FreeIndex::Bucket& bucket, Slot slot) {
  index_.MemberAt(bucket, slot, now_ms_);
  return Index(index_.FeaturesOf(bucket, slot, totals_, now_ms_), /*urgency=*/1, policy_);
}

double MatchRound::Factor(const Place& place, Slot slot) {
  double factor = place.urgency;
  if (const absl::Span<const double> known = Known(*place.task); !known.empty()) {
    const Member& member = place.bucket->ranks.at(slot);
    factor *= InformationGain(known, place.bucket->key.alternatives, member.sampled) / member.gain;
  }
  if (place.floor != Floor::kNone) {
    factor *= 1 + std::min(policy_.floor, kWindowFloor) * FloorClaim(place, slot);
  }
  return factor;
}

bool MatchRound::Before(const Place& place, const Ranked& a, const Ranked& b) const {
  if (a.index != b.index) return a.index > b.index;
  if (a.features.fair_share != b.features.fair_share) {
    return a.features.fair_share > b.features.fair_share;
  }
  if (a.features.waiting != b.features.waiting) return a.features.waiting > b.features.waiting;
  return quality::MixSeeds(place.seed, index_.HashOf(a.slot)) <
         quality::MixSeeds(place.seed, index_.HashOf(b.slot));
}

Candidate MatchRound::Refused(Slot slot, const char* reason) const {
  Candidate candidate;
  candidate.contractor = std::string(index_.NameOf(slot));
  candidate.excluded_by = reason;
  return candidate;
}

Candidate MatchRound::Shown(const Place& place, const Ranked& ranked) const {
  const Member& member = place.bucket->ranks.at(ranked.slot);
  Candidate candidate;
  candidate.contractor = std::string(index_.NameOf(ranked.slot));
  candidate.quality_mean = index_.QualityMeanOf(member);
  candidate.quality_sampled = member.sampled;
  candidate.features = ranked.features;
  candidate.index = ranked.index;
  return candidate;
}

std::vector<Candidate> MatchRound::Unproven(const Place& place) {
  std::vector<Candidate> unproven;
  if (place.ordinary == nullptr) return unproven;
  RankBucket::Walk walk = place.ordinary->ranks.Best(/*newcomers_only=*/false);
  for (int i = 0; i < kMaxCandidates && unproven.size() < kMostUnproven; ++i) {
    const Slot slot = walk.Next();
    if (slot == kNoSlot) break;
    if (FreeIndex::In(*place.bucket, slot) || !Takes(place, slot) || Had(place, slot)) continue;
    unproven.push_back(Refused(
        slot, index_.HasSkills(*place.bucket, slot) ? "quality_not_proven" : "skill_not_proven"));
    unproven.back().quality_mean = index_.QualityMeanOf(place.ordinary->ranks.at(slot));
  }
  return unproven;
}

Choice MatchRound::Decide(const Place& place, std::vector<Ranked>& ranked,
                          const std::vector<Candidate>& refused, size_t considered) {
  const auto before = [&](const Ranked& a, const Ranked& b) { return Before(place, a, b); };
  std::vector<Candidate> excluded = Unproven(place);
  considered += excluded.size();
  const size_t shown = std::min(ranked.size(), kShownCandidates - excluded.size());
  excluded.insert(excluded.end(), refused.begin(), refused.end());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(shown),
                    ranked.end(), before);
  std::vector<Candidate> candidates;
  candidates.reserve(shown);
  for (size_t i = 0; i < shown; ++i) candidates.push_back(Shown(place, ranked[i]));
  Choice choice;
  choice.task = place.task->task;
  choice.contractor = candidates.front().contractor;
  choice.decision = Explain(choice.task, place.urgency, policy_, place.seed, candidates, excluded);
  choice.decision.set_adjudication(place.task->least_quality > 0);
  choice.decision.set_candidate_count(static_cast<int>(considered));
  return choice;
}

void MatchRound::Charge(const Place& place, Slot slot) {
  given_[place.task_number].push_back(slot);
  totals_.earned += index_.Scaled(place.task->pay_micros, now_ms_);
  index_.Charge(slot, place.task->pay_micros, place.task->gold, now_ms_);
}

}  // namespace fairlead::dispatch
