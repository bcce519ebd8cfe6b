#include "scheduler/dispatch/rank_bucket.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace fairlead::dispatch {
namespace {

// Keys from 2^-28 to 2^4: sixty-four steps an octave, by the bits of the float itself.
constexpr int kLowestExponent = 127 - 28;

uint32_t LevelOf(double key) {
  if (!(key > 0)) return 0;
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(key));
  const int64_t level = static_cast<int64_t>(bits >> 17) - kLowestExponent * 64;
  return static_cast<uint32_t>(std::clamp<int64_t>(level, 0, RankBucket::kLevels - 1));
}

}  // namespace

RankBucket::RankBucket() {
  for (auto& ranks : ranks_) {
    ranks = std::make_unique<Ranks>();
    ranks->heads.fill(kNoSlot);
  }
}

size_t RankBucket::bytes() const {
  constexpr size_t kMapNode = 48;
  return sizeof(*this) + members_.bytes() + 2 * sizeof(Ranks) + waiting_.size() * kMapNode;
}

int RankBucket::HighestBelow(const Ranks& ranks, int below) {
  for (int word = (below - 1) / 64; below > 0 && word >= 0; --word) {
    uint64_t bits = ranks.filled[static_cast<size_t>(word)];
    if (below - word * 64 < 64) bits &= (uint64_t{1} << (below - word * 64)) - 1;
    if (bits != 0) return word * 64 + 63 - std::countl_zero(bits);
  }
  return -1;
}

void RankBucket::PushRank(Slot slot) {
  Member& member = members_[slot];
  Ranks& ranks = *ranks_[member.newcomer];
  Slot& head = ranks.heads[member.level];
  member.rank = {head, kNoSlot};
  if (head != kNoSlot) members_[head].rank.previous = slot;
  head = slot;
  ranks.filled[member.level / 64] |= uint64_t{1} << (member.level % 64);
}

void RankBucket::PopRank(Slot slot) {
  Member& member = members_[slot];
  Ranks& ranks = *ranks_[member.newcomer];
  const auto [next, previous] = member.rank;
  if (next != kNoSlot) members_[next].rank.previous = previous;
  if (previous != kNoSlot) {
    members_[previous].rank.next = next;
    return;
  }
  ranks.heads[member.level] = next;
  if (next == kNoSlot) ranks.filled[member.level / 64] &= ~(uint64_t{1} << (member.level % 64));
}

void RankBucket::Link(Slot slot, double key, uint32_t wait) {
  Member& member = members_[slot];
  member.level = LevelOf(key) & (kLevels - 1);
  member.linked = 1;
  ++size_;
  PushRank(slot);
  Slot& head = waiting_.try_emplace(wait, kNoSlot).first->second;
  member.wait = {head, kNoSlot};
  if (head != kNoSlot) members_[head].wait.previous = slot;
  head = slot;
}

void RankBucket::Unlink(Slot slot, uint32_t wait) {
  Member& member = members_[slot];
  if (member.linked == 0) return;
  PopRank(slot);
  member.linked = 0;
  --size_;
  const auto [next, previous] = member.wait;
  if (next != kNoSlot) members_[next].wait.previous = previous;
  if (previous != kNoSlot) {
    members_[previous].wait.next = next;
  } else if (next != kNoSlot) {
    waiting_[wait] = next;
  } else {
    waiting_.erase(wait);
  }
}

void RankBucket::Move(Slot slot, double key) {
  const uint32_t level = LevelOf(key) & (kLevels - 1);
  if (members_[slot].level == level) return;
  PopRank(slot);
  members_[slot].level = level;
  PushRank(slot);
}

RankBucket::Walk RankBucket::Best(bool newcomers_only) const {
  Walk walk;
  walk.bucket_ = this;
  for (size_t i = newcomers_only ? 1 : 0; i < 2; ++i) {
    Walk::Chain& chain = walk.chains_[i];
    chain.level = HighestBelow(*ranks_[i], kLevels);
    if (chain.level >= 0) chain.next = ranks_[i]->heads[static_cast<size_t>(chain.level)];
  }
  return walk;
}

RankBucket::Walk RankBucket::LongestWaiting() const {
  Walk walk;
  walk.bucket_ = this;
  walk.by_wait_ = true;
  walk.quantum_ = waiting_.begin();
  if (walk.quantum_ != waiting_.end()) walk.chains_[0].next = walk.quantum_->second;
  return walk;
}

Slot RankBucket::Walk::Next() {
  const size_t i = chains_[1].level > chains_[0].level ? 1 : 0;
  Chain& chain = chains_[i];
  const Slot slot = chain.next;
  if (slot == kNoSlot) return kNoSlot;
  const Member& member = bucket_->at(slot);
  if (by_wait_) {
    chain.next = member.wait.next;
    if (chain.next == kNoSlot && ++quantum_ != bucket_->waiting_.end()) {
      chain.next = quantum_->second;
    }
    return slot;
  }
  chain.next = member.rank.next;
  if (chain.next == kNoSlot) {
    const Ranks& ranks = *bucket_->ranks_[i];
    chain.level = HighestBelow(ranks, chain.level);
    if (chain.level >= 0) chain.next = ranks.heads[static_cast<size_t>(chain.level)];
  }
  return slot;
}

}  // namespace fairlead::dispatch
