#include "scheduler/dispatch/matching.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/hash.h"
#include "scheduler/dispatch/explanation.h"
#include "scheduler/dispatch/matching_bucket.h"
#include "scheduler/quality/beta.h"

namespace fairlead::dispatch {
namespace {

enum class Floor { kNone, kNewcomer, kWaiting };

// What changes from choice to choice.
struct Account {
  int credit = 0;
  double seconds_since_offer = 0;
  double earned = 0;
  int gold_open = 0;
  uint64_t hash = 0;
  int64_t taken_stamp = 0;  // The last task and place that had him in hand.
  int64_t seen_stamp = 0;
};

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
  if (!(task.confidence * AlternativesOf(task) > 1)) return {};
  return absl::MakeConstSpan(&task.confidence, 1);
}

class Matcher {
 public:
  Matcher(const Snapshot& snapshot, const Policy& policy, uint64_t seed)
      : snapshot_(snapshot), policy_(policy), seed_(seed) {
    for (const FreeContractor& c : snapshot.contractors) {
      accounts_.push_back({c.credit, c.seconds_since_offer, c.earned_recently, c.gold_open_hint,
                           StableHash64(c.contractor), 0, 0});
      totals_.earned += std::max(c.earned_recently, 0.0);
      totals_.online += std::max(c.online_share, 0.0);
    }
    totals_.contractors = static_cast<double>(accounts_.size());
    newcomer_sd_ = quality::QualitySd(quality::ContractorScore());
  }

  std::vector<Choice> Run(int max_choices) {
    std::vector<Choice> choices;
    for (const ReadyTask& task : snapshot_.tasks) {
      Bucket& bucket = BucketOf(task);
      ++task_stamp_;
      const uint64_t task_seed = quality::MixSeeds(seed_, StableHash64(task.task));
      for (int place = 0; place < task.places; ++place) {
        if (static_cast<int>(choices.size()) >= max_choices) return choices;
        if (!Place(task, bucket, quality::MixSeeds(task_seed, static_cast<uint64_t>(place)),
                   choices)) {
          break;
        }
      }
    }
    return choices;
  }

 private:
  Bucket& BucketOf(const ReadyTask& task) {
    std::vector<std::string> skills = task.required_skills;
    std::sort(skills.begin(), skills.end());
    std::string key =
        absl::StrCat(task.kind, "/", AlternativesOf(task), "/", absl::StrJoin(skills, ","));
    auto it = buckets_.find(key);
    if (it == buckets_.end()) {
      auto bucket =
          std::make_unique<Bucket>(snapshot_, policy_, task.kind, AlternativesOf(task), skills);
      it = buckets_.emplace(std::move(key), std::move(bucket)).first;
    }
    return *it->second;
  }

  double Waiting(int contractor) const {
    if (policy_.waiting_window_seconds <= 0) return 0;
    return std::max(0.0, accounts_[contractor].seconds_since_offer) /
           policy_.waiting_window_seconds;
  }

  double FloorClaim(Floor floor, const Member& member) const {
    if (floor == Floor::kNewcomer) return member.standing.newcomer > 0 ? 1 : 0;
    // The longer the wait, the stronger the claim, and so the order within the floor.
    if (floor == Floor::kWaiting) {
      const double windows = Waiting(member.contractor);
      return windows >= 1 ? windows : 0;
    }
    return 0;
  }

  // What a candidate is ranked by; his names and texts are needed only where he is shown.
  struct Ranked {
    double index = 0;
    double sampled = 0;
    Features features;
    int member = 0, contractor = 0;
  };

  Ranked Evaluate(const ReadyTask& task, const Bucket& bucket, int member, Floor floor,
                  double urgency, uint64_t place_seed) const {
    Ranked r;
    r.member = member;
    r.contractor = bucket.members()[member].contractor;
    const Account& account = accounts_[r.contractor];
    const Standing& standing = bucket.members()[member].standing;
    r.sampled = SampleQuality(standing, quality::MixSeeds(place_seed, account.hash));
    r.features.information_gain =
        task.gold ? GoldGain(standing.quality_sd, newcomer_sd_, account.gold_open)
                  : InformationGain(Known(task), AlternativesOf(task), r.sampled);
    r.features.expected_seconds = standing.expected_seconds;
    r.features.fair_share =
        FairShare(account.earned, snapshot_.contractors[r.contractor].online_share, totals_);
    r.features.waiting = std::min(Waiting(r.contractor), kMaxWaiting);
    r.features.newcomer = standing.newcomer;
    r.features.responsiveness = standing.responsiveness;
    r.features.floor_claim = FloorClaim(floor, bucket.members()[member]);
    r.index = Index(r.features, urgency, policy_);
    return r;
  }

  Candidate Shown(const Bucket& bucket, const Ranked& ranked) const {
    Candidate c;
    c.contractor = snapshot_.contractors[ranked.contractor].contractor;
    c.quality_mean = bucket.members()[ranked.member].standing.quality_mean;
    c.quality_sampled = ranked.sampled;
    c.features = ranked.features;
    c.index = ranked.index;
    return c;
  }

  // Walks `list` from `start`, once around, and gathers up to `wanted` more eligible contractors.
  void Gather(const ReadyTask& task, const Bucket& bucket, CreditList& list, size_t start,
              int wanted) {
    bool wrapped = start == 0;
    for (size_t slot = start; wanted > 0; ++slot) {
      slot = list.Next(slot);
      if (slot >= list.size() || (wrapped && start > 0 && slot >= start)) {
        if (wrapped) return;
        wrapped = true;
        slot = list.Next(0);
        if (slot >= start || slot >= list.size()) return;
      }
      const int member = list.At(slot);
      const int contractor = bucket.members()[member].contractor;
      if (accounts_[contractor].credit <= 0) {
        list.Retire(slot);
        continue;
      }
      Account& account = accounts_[contractor];
      if (account.taken_stamp == task_stamp_ || account.seen_stamp == place_stamp_) continue;
      account.seen_stamp = place_stamp_;
      const FreeContractor& free = snapshot_.contractors[contractor];
      if (task.excluded.contains(free.contractor)) {
        Exclude(free, "answered_before");
      } else if (task.pay_micros < free.min_pay_micros) {
        Exclude(free, "min_pay");
      } else {
        gathered_.push_back(member);
        --wanted;
      }
    }
  }

  void Exclude(const FreeContractor& free, const char* reason) {
    if (excluded_.size() >= kShownCandidates) return;
    Candidate c;
    c.contractor = free.contractor;
    c.excluded_by = reason;
    excluded_.push_back(std::move(c));
  }

  Floor FloorOf(uint64_t place_seed) const {
    uint64_t state = place_seed;
    const double u = quality::NextUniform(state);
    if (u < policy_.newcomer_share) return Floor::kNewcomer;
    if (u < policy_.newcomer_share + policy_.waiting_share) return Floor::kWaiting;
    return Floor::kNone;
  }

  void GatherAll(const ReadyTask& task, Bucket& bucket, Floor floor, uint64_t place_seed) {
    constexpr int kQuarter = kMaxCandidates / 4;
    ++place_stamp_;
    gathered_.clear();
    excluded_.clear();
    const size_t size = bucket.by_value().size();
    if (size == 0) return;
    const bool newcomers_first = task.gold || floor == Floor::kNewcomer;
    if (newcomers_first) Gather(task, bucket, bucket.newcomers(), 0, kQuarter);
    Gather(task, bucket, bucket.by_waiting(), 0, kQuarter);
    Gather(task, bucket, bucket.by_value(), static_cast<size_t>(place_seed % size), kQuarter);
    Gather(task, bucket, bucket.by_value(), 0, kMaxCandidates - static_cast<int>(gathered_.size()));
  }

  // Makes one offer; false where nobody is eligible.
  bool Place(const ReadyTask& task, Bucket& bucket, uint64_t place_seed,
             std::vector<Choice>& choices) {
    const Floor floor = FloorOf(place_seed);
    GatherAll(task, bucket, floor, place_seed);
    if (gathered_.empty()) return false;
    const double urgency = UrgencyOf(task, snapshot_.now_ms, policy_);
    ranked_.clear();
    for (const int member : gathered_) {
      ranked_.push_back(Evaluate(task, bucket, member, floor, urgency, place_seed));
    }
    // Equal indices: the larger share due, the longer wait, then a seeded draw; never id or
    // arrival.
    const auto before = [&](const Ranked& a, const Ranked& b) {
      if (a.index != b.index) return a.index > b.index;
      if (a.features.fair_share != b.features.fair_share) {
        return a.features.fair_share > b.features.fair_share;
      }
      if (a.features.waiting != b.features.waiting) return a.features.waiting > b.features.waiting;
      return quality::MixSeeds(place_seed, accounts_[a.contractor].hash) <
             quality::MixSeeds(place_seed, accounts_[b.contractor].hash);
    };
    const size_t shown = std::min<size_t>(ranked_.size(), kShownCandidates);
    std::partial_sort(ranked_.begin(), ranked_.begin() + static_cast<std::ptrdiff_t>(shown),
                      ranked_.end(), before);
    Choose(task, ranked_.front().contractor);
    std::vector<Candidate> candidates;
    candidates.reserve(shown);
    for (size_t i = 0; i < shown; ++i) candidates.push_back(Shown(bucket, ranked_[i]));
    v1::Decision decision = Explain(task.task, urgency, policy_, place_seed, candidates, excluded_);
    decision.set_candidate_count(static_cast<int>(ranked_.size() + excluded_.size()));
    choices.push_back({task.task, candidates.front().contractor, std::move(decision)});
    return true;
  }

  void Choose(const ReadyTask& task, int contractor) {
    Account& account = accounts_[contractor];
    --account.credit;
    account.seconds_since_offer = 0;
    account.earned += task.pay_micros;
    if (task.gold) ++account.gold_open;
    totals_.earned += task.pay_micros;
    account.taken_stamp = task_stamp_;
  }

  const Snapshot& snapshot_;
  const Policy& policy_;
  const uint64_t seed_;
  double newcomer_sd_ = 1;
  Totals totals_;
  std::vector<Account> accounts_;  // By index of the snapshot's contractors.
  absl::flat_hash_map<std::string, std::unique_ptr<Bucket>> buckets_;
  int64_t task_stamp_ = 0, place_stamp_ = 0;
  // Of the place at hand.
  std::vector<Ranked> ranked_;
  std::vector<int> gathered_;
  std::vector<Candidate> excluded_;
};

}  // namespace

std::vector<Choice> Match(const Snapshot& snapshot, const Policy& policy, uint64_t seed,
                          int max_choices) {
  return Matcher(snapshot, policy, seed).Run(max_choices);
}

}  // namespace fairlead::dispatch
