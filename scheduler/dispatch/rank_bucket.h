// The free contractors that one kind of task may go to, ranked by what the published formula makes
// of them: a row of 2,048 levels, sixty-four an octave, each a chain, so that the best are
// at hand and a change costs O(1) whatever their number. Beside it a chain by the time of the last
// offer. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "scheduler/dispatch/standing.h"

namespace fairlead::dispatch {

using Slot = uint32_t;  // A contractor's place in the index.
inline constexpr Slot kNoSlot = ~Slot{0};

// An array that grows by blocks: no element moves, and at most one block is slack.
template <typename T>
class Blocks {
 public:
  T& operator[](Slot i) { return blocks_[i / kBlock][i % kBlock]; }
  const T& operator[](Slot i) const { return blocks_[i / kBlock][i % kBlock]; }
  void GrowTo(size_t size) {
    while (blocks_.size() * kBlock < size) blocks_.push_back(std::make_unique<T[]>(kBlock));
  }
  size_t bytes() const { return blocks_.size() * (kBlock * sizeof(T) + sizeof(blocks_[0])); }

 private:
  static constexpr size_t kBlock = 256;
  std::vector<std::unique_ptr<T[]>> blocks_;
};

// One contractor in one bucket.
struct Member {
  struct Link {
    Slot next = kNoSlot, previous = kNoSlot;
  };
  float right = 0, wrong = 0;  // As in Standing.
  float expected_seconds = 1;
  float sampled = 0;  // The quality drawn for `draw`.
  float gain = 0;     // InformationGain of it while nothing is known about a task; GoldGain else.
  Link rank, wait;
  uint32_t level : 11 = 0;
  uint32_t draw : 10 = 0;
  uint32_t gold_due : 1 = 0;        // His next answer may be gold.
  uint32_t responsiveness : 8 = 0;  // In 255ths.
  uint32_t newcomer : 1 = 0;
  uint32_t linked : 1 = 0;
};
static_assert(sizeof(Member) == 40);

class RankBucket {
 public:
  static constexpr int kLevels = 2'048;

  RankBucket();

  Member& at(Slot slot) { return members_[slot]; }
  const Member& at(Slot slot) const { return members_[slot]; }
  void GrowTo(size_t slots) { members_.GrowTo(slots); }
  // How many are linked.
  size_t size() const { return size_; }
  size_t bytes() const;

  // Puts a member where his key (what Index() gives before the task is known, > 0) and the time of
  // his last offer, in quanta of any length, say. He must not be linked.
  void Link(Slot slot, double key, uint32_t wait);
  // `wait` as linked with. Does nothing where he is not linked.
  void Unlink(Slot slot, uint32_t wait);
  // To another level, where the key asks for it.
  void Move(Slot slot, double key);

  // The linked members from the best on (of newcomers alone, if wished), level by level; or from
  // the longest waiting on. The one just returned may be unlinked, no other.
  class Walk {
   public:
    Slot Next();

   private:
    friend class RankBucket;
    struct Chain {
      int level = -1;
      Slot next = kNoSlot;
    };
    const RankBucket* bucket_ = nullptr;
    std::array<Chain, 2> chains_;
    bool by_wait_ = false;
    std::map<uint32_t, Slot>::const_iterator quantum_;
  };
  Walk Best(bool newcomers_only) const;
  Walk LongestWaiting() const;

 private:
  struct Ranks {
    std::array<Slot, kLevels> heads;
    std::array<uint64_t, kLevels / 64> filled{};
  };

  void PushRank(Slot slot);
  void PopRank(Slot slot);
  // The highest level below `below` that has somebody; −1 where there is none.
  static int HighestBelow(const Ranks& ranks, int below);

  Blocks<Member> members_;
  std::array<std::unique_ptr<Ranks>, 2> ranks_;  // The experienced, the newcomers.
  std::map<uint32_t, Slot> waiting_;
  size_t size_ = 0;
};

}  // namespace fairlead::dispatch
