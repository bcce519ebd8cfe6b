#include "scheduler/dispatch/free_index.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/hash.h"
#include "scheduler/quality/beta.h"

namespace fairlead::dispatch {
namespace {

constexpr double kAccountHalfLifeMs = 600'000;
constexpr int64_t kAccountWindowTenths = 6'000;
constexpr int64_t kDrawMs = 60'000;
constexpr int64_t kSweepMs = 30'000;
constexpr int64_t kBucketLifeMs = 600'000;
constexpr uint32_t kRememberTenths = 36'000;
constexpr int64_t kEpochMs = 90LL * 86'400'000;  // What lies before counts as so long ago.
constexpr double kMostScale = 0x1p40;
constexpr uint32_t kDrawMask = (1u << 10) - 1;
constexpr double kResponsivenessSteps = 255;
constexpr size_t kExactBuckets = 32;
constexpr double kPayClassesAnOctave = 4;

// Above the pay itself, and the same for all pays of a class.
double PayClassOf(double pay_micros) {
  if (!(pay_micros > 0)) return 0;
  const double steps = std::floor(kPayClassesAnOctave * std::log2(pay_micros) + 1e-6);
  return std::exp2((steps + 1) / kPayClassesAnOctave);
}

std::string KeyName(const BucketKey& key) {
  return absl::StrCat(static_cast<int>(key.kind), "/", key.alternatives, "/",
                      key.gold ? "gold/" : "/", key.pay_micros, "/", absl::StrJoin(key.skills, ","),
                      "/", key.least_quality, "/", key.excluded_skill, key.paced ? "/paced" : "");
}

}  // namespace

FreeIndex::FreeIndex(const Policy& policy, uint64_t sample_seed, int64_t offer_window_ms,
                     Scores scores)
    : policy_(policy),
      sample_seed_(sample_seed),
      offer_window_seconds_(static_cast<double>(offer_window_ms) / 1000),
      scores_(std::move(scores)),
      newcomer_sd_(quality::QualitySd(quality::ContractorScore())),
      by_name_(0, ByName{this}, ByName{this}) {}

absl::string_view FreeIndex::NameOf(Slot slot) const {
  const Name& name = names_[slot];
  if (name.size >= 0) return {name.text, static_cast<size_t>(name.size)};
  return long_names_.at(slot);
}

uint64_t FreeIndex::HashOf(Slot slot) const { return StableHash64(NameOf(slot)); }

Slot FreeIndex::Find(absl::string_view contractor) const {
  const auto found = by_name_.find(contractor);
  return found == by_name_.end() ? kNoSlot : *found;
}

Slot FreeIndex::SlotOf(absl::string_view contractor) {
  if (const auto found = by_name_.find(contractor); found != by_name_.end()) return *found;
  Slot slot = slots_;
  if (unused_.empty()) {
    ++slots_;
    entries_.GrowTo(slots_);
    names_.GrowTo(slots_);
    for (auto& [key, bucket] : buckets_) bucket->ranks.GrowTo(slots_);
  } else {
    slot = unused_.back();
    unused_.pop_back();
  }
  Name& name = names_[slot];
  if (contractor.size() <= Name::kInline) {
    name.size = static_cast<int8_t>(contractor.size());
    std::memcpy(name.text, contractor.data(), contractor.size());
  } else {
    name.size = -1;
    long_names_[slot] = std::string(contractor);
  }
  entries_[slot] = Entry();
  entries_[slot].shift = static_cast<uint32_t>(StableHash64(contractor) % kDrawMs);
  entries_[slot].used = 1;
  by_name_.insert(slot);
  return slot;
}

void FreeIndex::Forget(Slot slot) {
  by_name_.erase(slot);
  long_names_.erase(slot);
  entries_[slot] = Entry();
  unused_.push_back(slot);
}

uint32_t FreeIndex::Tenths(int64_t ms) const {
  return static_cast<uint32_t>(std::clamp<int64_t>((ms - base_ms_) / 100, 0, ~uint32_t{0}));
}

uint32_t FreeIndex::WaitQuantum(const Entry& entry) const {
  const double quantum = std::max(policy_.waiting_window_seconds * 10 / 32, 1.0);
  return static_cast<uint32_t>(entry.last_offer / quantum);
}

// Everybody has his own moment, so that the draws do not all change at once.
uint32_t FreeIndex::DrawAt(Slot slot, int64_t now_ms) const {
  return static_cast<uint32_t>((now_ms + entries_[slot].shift) / kDrawMs) & kDrawMask;
}

// Shares decay all alike, so the weights of what comes grow instead.
double FreeIndex::Scale(int64_t now_ms) const {
  return std::exp2(static_cast<double>(now_ms - scale_ms_) / kAccountHalfLifeMs);
}

void FreeIndex::Rescale(int64_t now_ms) {
  const double scale = Scale(now_ms);
  if (scale < kMostScale) return;
  earned_ = 0;
  for (Slot slot = 0; slot < slots_; ++slot) {
    Entry& entry = entries_[slot];
    entry.earned = static_cast<float>(entry.earned / scale);
    if (entry.free != 0) earned_ += entry.earned;
  }
  scale_ms_ = now_ms;
}

uint32_t FreeIndex::SkillSet(std::vector<std::string> skills) {
  std::sort(skills.begin(), skills.end());
  const auto [it, fresh] =
      skill_numbers_.try_emplace(std::move(skills), static_cast<uint32_t>(skill_sets_.size()));
  if (fresh) {
    skill_sets_.push_back(&it->first);
    for (auto& [key, bucket] : buckets_) bucket->admits.push_back(SuitsSet(*bucket, it->second));
  }
  return it->second;
}

bool FreeIndex::SuitsSet(const Bucket& bucket, uint32_t skills) const {
  const std::vector<std::string>& has = *skill_sets_[skills];
  const std::string& excluded = bucket.key.excluded_skill;
  return std::includes(has.begin(), has.end(), bucket.key.skills.begin(),
                       bucket.key.skills.end()) &&
         (excluded.empty() || !std::binary_search(has.begin(), has.end(), excluded));
}

bool FreeIndex::Admits(const Bucket& bucket, const Entry& entry) {
  return bucket.admits[entry.skills] != 0 && entry.min_pay_micros <= bucket.key.pay_micros;
}

bool FreeIndex::Suits(const Bucket& bucket, const Member& shared) {
  if (bucket.key.paced && shared.gold_due == 0) return false;
  if (!(bucket.key.least_quality > 0)) return true;
  quality::ContractorScore score;
  score.right = shared.right;
  score.wrong = shared.wrong;
  return quality::IsProven(score, bucket.key.least_quality);
}

// Adds a free contractor to the totals, or takes him off.
void FreeIndex::Count(Slot slot, int sign) {
  const Entry& entry = entries_[slot];
  free_ += static_cast<size_t>(sign);
  earned_ = std::max(0.0, earned_ + sign * static_cast<double>(entry.earned));
  if (entry.veteran != 0) {
    veterans_ += static_cast<size_t>(sign);
  } else {
    others_since_ += sign * static_cast<int64_t>(entry.since);
  }
}

void FreeIndex::SetFree(Slot slot, bool free, int64_t now_ms) {
  Entry& entry = entries_[slot];
  if ((entry.free != 0) == free) return;
  entry.free = free ? 1 : 0;
  Count(slot, free ? 1 : -1);
  const Totals totals = TotalsAt(now_ms);
  SharedByKind known;
  for (auto& [key, bucket] : buckets_) {
    if (!free) {
      bucket->ranks.Unlink(slot, WaitQuantum(entry));
    } else if (Admits(*bucket, entry)) {
      const Member& shared = SharedOf(bucket->key.kind, slot, now_ms, known);
      if (Suits(*bucket, shared)) Join(*bucket, slot, shared, totals, now_ms);
    }
  }
}

void FreeIndex::Put(absl::string_view contractor, const Availability& availability,
                    int64_t now_ms) {
  if (base_ms_ == 0) {
    base_ms_ = now_ms - kEpochMs;
    scale_ms_ = now_ms;
  }
  const Slot slot = SlotOf(contractor);
  SetFree(slot, false, now_ms);
  Entry& entry = entries_[slot];
  entry.min_pay_micros = static_cast<float>(availability.min_pay_micros);
  if (entry.min_pay_micros < availability.min_pay_micros) {
    entry.min_pay_micros = std::nextafter(entry.min_pay_micros, HUGE_VALF);
  }
  entry.last_offer = Tenths(availability.last_offer_ms);
  entry.since = Tenths(availability.since_ms);
  entry.until = Tenths(availability.until_ms);
  entry.skills = SkillSet(availability.skills) & 0xfffff;
  entry.veteran = Tenths(now_ms) - entry.since >= kAccountWindowTenths ? 1 : 0;
  entry.credit = static_cast<uint16_t>(std::clamp(availability.credit, 0, 0xffff));
  entry.gold_open = static_cast<uint16_t>(std::clamp(availability.gold_open, 0, 0xffff));
  SetFree(slot, entry.credit > 0 && availability.until_ms >= now_ms, now_ms);
}

void FreeIndex::SetEarned(absl::string_view contractor, double micros, int64_t now_ms) {
  const auto found = by_name_.find(contractor);
  if (found == by_name_.end()) return;
  Entry& entry = entries_[*found];
  const bool free = entry.free != 0;
  if (free) Count(*found, -1);
  entry.earned = static_cast<float>(std::max(micros, 0.0) * Scale(now_ms));
  if (free) Count(*found, 1);
}

FreeIndex::Bucket& FreeIndex::BucketFor(const BucketKey& key, int64_t now_ms) {
  auto found = buckets_.find(KeyName(key));
  if (found == buckets_.end()) {
    BucketKey made = key;
    if (buckets_.size() >= kExactBuckets) made.pay_micros = PayClassOf(key.pay_micros);
    bool fresh = false;
    std::tie(found, fresh) = buckets_.try_emplace(KeyName(made));
    if (fresh) {
      found->second = std::make_unique<Bucket>();
      found->second->key = std::move(made);
      Populate(*found->second, now_ms);
    }
  }
  found->second->asked_ms = now_ms;
  return *found->second;
}

void FreeIndex::Populate(Bucket& bucket, int64_t now_ms) {
  bucket.ranks.GrowTo(slots_);
  for (uint32_t set = 0; set < skill_sets_.size(); ++set) {
    bucket.admits.push_back(SuitsSet(bucket, set));
  }
  // What a contractor is at this kind of work stands in its other buckets already.
  std::vector<const Bucket*> others;
  for (const auto& [name, other] : buckets_) {
    if (other.get() != &bucket && other->key.kind == bucket.key.kind) others.push_back(other.get());
  }
  const Totals totals = TotalsAt(now_ms);
  for (Slot slot = 0; slot < slots_; ++slot) {
    const Entry& entry = entries_[slot];
    if (entry.free == 0 || !Admits(bucket, entry)) continue;
    const auto has = std::find_if(others.begin(), others.end(),
                                  [&](const Bucket* other) { return In(*other, slot); });
    SharedByKind known;
    const Member& shared = has != others.end() ? (*has)->ranks.at(slot)
                                               : SharedOf(bucket.key.kind, slot, now_ms, known);
    if (Suits(bucket, shared)) Join(bucket, slot, shared, totals, now_ms);
  }
}

const Member& FreeIndex::SharedOf(v1::TaskKind kind, Slot slot, int64_t now_ms,
                                  SharedByKind& known) const {
  for (const Shared& shared : known) {
    if (shared.kind == kind) return shared.member;
  }
  quality::ContractorScore score = scores_(NameOf(slot), kind);
  quality::Decay(now_ms, score);
  const Standing standing = StandingOf(score, offer_window_seconds_, policy_);
  Member member;
  member.right = static_cast<float>(standing.right);
  member.wrong = static_cast<float>(standing.wrong);
  member.expected_seconds = static_cast<float>(standing.expected_seconds);
  member.responsiveness =
      static_cast<uint32_t>(std::lround(standing.responsiveness * kResponsivenessSteps)) & 0xff;
  member.newcomer = standing.newcomer > 0 ? 1 : 0;
  const double gold_share = GoldShare(standing.quality_sd, newcomer_sd_);
  const int64_t gold = score.gold_answers + entries_[slot].gold_open;
  member.gold_due = IsDueForGold(gold_share, gold, score.annotations) ? 1 : 0;
  member.draw = DrawAt(slot, now_ms) & kDrawMask;
  member.sampled = Sample(kind, slot, member);
  known.push_back({kind, member});
  return known.back().member;
}

void FreeIndex::Join(Bucket& bucket, Slot slot, const Member& shared, const Totals& totals,
                     int64_t now_ms) {
  Member& member = bucket.ranks.at(slot);
  member = shared;
  SetGain(bucket, slot, member);
  bucket.ranks.Link(slot, KeyOf(bucket, slot, totals, now_ms), WaitQuantum(entries_[slot]));
}

float FreeIndex::Sample(v1::TaskKind kind, Slot slot, const Member& member) const {
  const uint64_t seed =
      quality::MixSeeds(sample_seed_ ^ static_cast<uint64_t>(kind),
                        quality::MixSeeds(HashOf(slot), static_cast<uint64_t>(member.draw)));
  return static_cast<float>(quality::BetaSample(quality::kPriorRight + member.right,
                                                quality::kPriorWrong + member.wrong, seed));
}

void FreeIndex::SetGain(const Bucket& bucket, Slot slot, Member& member) const {
  if (!bucket.key.gold) {
    member.gain = static_cast<float>(InformationGain({}, bucket.key.alternatives, member.sampled));
    return;
  }
  quality::ContractorScore score;
  score.right = member.right;
  score.wrong = member.wrong;
  member.gain = static_cast<float>(
      GoldGain(quality::QualitySd(score), newcomer_sd_, entries_[slot].gold_open));
}

double FreeIndex::KeyOf(const Bucket& bucket, Slot slot, const Totals& totals,
                        int64_t now_ms) const {
  return Index(FeaturesOf(bucket, slot, totals, now_ms), /*urgency=*/1, policy_);
}

void FreeIndex::Refresh(int64_t now_ms) {
  if (base_ms_ == 0) return;
  Rescale(now_ms);
  for (auto it = buckets_.begin(); it != buckets_.end();) {
    it = now_ms - it->second->asked_ms > kBucketLifeMs ? buckets_.erase(it) : std::next(it);
  }
  const int64_t elapsed = std::clamp<int64_t>(now_ms - refreshed_ms_, 0, kSweepMs);
  refreshed_ms_ = now_ms;
  const Totals totals = TotalsAt(now_ms);
  const auto due = static_cast<int64_t>(slots_) * elapsed / kSweepMs + (elapsed > 0 ? 1 : 0);
  for (int64_t i = 0; i < std::min<int64_t>(due, slots_); ++i) {
    if (cursor_ >= slots_) cursor_ = 0;
    RefreshOne(cursor_++, totals, now_ms);
  }
}

void FreeIndex::RefreshOne(Slot slot, const Totals& totals, int64_t now_ms) {
  Entry& entry = entries_[slot];
  const uint32_t now = Tenths(now_ms);
  if (entry.used == 0) return;
  if (entry.until < now) {
    SetFree(slot, false, now_ms);
    if (now - entry.until > kRememberTenths) Forget(slot);
    return;
  }
  if (entry.free == 0) return;
  if (entry.veteran == 0 && now - entry.since >= kAccountWindowTenths) {
    Count(slot, -1);
    entry.veteran = 1;
    Count(slot, 1);
  }
  for (auto& [key, bucket] : buckets_) {
    if (!In(*bucket, slot)) continue;
    MemberAt(*bucket, slot, now_ms);
    bucket->ranks.Move(slot, KeyOf(*bucket, slot, totals, now_ms));
  }
}

size_t FreeIndex::bytes() const {
  size_t bytes = entries_.bytes() + names_.bytes() + unused_.capacity() * sizeof(Slot) +
                 by_name_.capacity() * (sizeof(Slot) + 1);
  for (const auto& [slot, name] : long_names_) {
    bytes += sizeof(std::pair<const Slot, std::string>) + name.size();
  }
  for (const auto& [key, bucket] : buckets_) bytes += bucket->ranks.bytes();
  return bytes;
}

bool FreeIndex::Present(Slot slot, int64_t now_ms) {
  if (entries_[slot].until >= Tenths(now_ms)) return true;
  SetFree(slot, false, now_ms);
  return false;
}

bool FreeIndex::In(const Bucket& bucket, Slot slot) { return bucket.ranks.at(slot).linked != 0; }

const Member& FreeIndex::MemberAt(Bucket& bucket, Slot slot, int64_t now_ms) {
  Member& member = bucket.ranks.at(slot);
  const uint32_t draw = DrawAt(slot, now_ms) & kDrawMask;
  if (member.draw == draw) return member;
  member.draw = draw & kDrawMask;
  member.sampled = Sample(bucket.key.kind, slot, member);
  SetGain(bucket, slot, member);
  return member;
}

double FreeIndex::QualityMeanOf(const Member& member) const {
  quality::ContractorScore score;
  score.right = member.right;
  score.wrong = member.wrong;
  return quality::QualityMean(score);
}

Totals FreeIndex::TotalsAt(int64_t now_ms) const {
  Totals totals;
  const auto others = static_cast<int64_t>(free_ - veterans_);
  const double tenths =
      static_cast<double>(others * static_cast<int64_t>(Tenths(now_ms)) - others_since_);
  totals.earned = earned_;
  totals.online = static_cast<double>(veterans_) + std::max(tenths, 0.0) / kAccountWindowTenths;
  totals.contractors = static_cast<double>(free_);
  return totals;
}

double FreeIndex::WaitingOf(Slot slot, int64_t now_ms) const {
  if (policy_.waiting_window_seconds <= 0) return 0;
  const int64_t tenths = static_cast<int64_t>(Tenths(now_ms)) - entries_[slot].last_offer;
  return static_cast<double>(std::max<int64_t>(tenths, 0)) / (10 * policy_.waiting_window_seconds);
}

Features FreeIndex::FeaturesOf(const Bucket& bucket, Slot slot, const Totals& totals,
                               int64_t now_ms) const {
  const Entry& entry = entries_[slot];
  const Member& member = bucket.ranks.at(slot);
  const double online = static_cast<double>(static_cast<int64_t>(Tenths(now_ms)) - entry.since) /
                        kAccountWindowTenths;
  Features f;
  f.information_gain = member.gain;
  f.expected_seconds = member.expected_seconds;
  f.fair_share = FairShare(entry.earned, std::clamp(online, 0.0, 1.0), totals);
  f.waiting = std::min(WaitingOf(slot, now_ms), kMaxWaiting);
  if (policy_.newcomer_evidence > 0) {
    const double evidence = static_cast<double>(member.right) + member.wrong;
    f.newcomer = std::max(0.0, 1 - evidence / policy_.newcomer_evidence);
  }
  f.responsiveness = member.responsiveness / kResponsivenessSteps;
  return f;
}

void FreeIndex::Charge(Slot slot, double pay_micros, bool gold, int64_t now_ms) {
  // Out and, with credit left, in again: share, wait and rank have all changed.
  SetFree(slot, false, now_ms);
  Entry& entry = entries_[slot];
  entry.earned += static_cast<float>(pay_micros * Scale(now_ms));
  entry.last_offer = Tenths(now_ms);
  if (gold) ++entry.gold_open;
  if (--entry.credit > 0) SetFree(slot, true, now_ms);
}

}  // namespace fairlead::dispatch
