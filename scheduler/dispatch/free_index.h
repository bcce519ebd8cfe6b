// Who is free, ranked for every kind of work that has been asked for (hop 4): what the dispatcher
// chooses from, kept in step change by change instead of being read anew every round. A contractor
// is one entry (name, limits, share had) and one member of each bucket that he may work in: a
// bucket is a kind of work, its number of alternatives, its pay and the skills it needs; gold has
// buckets of its own, for it ranks differently. Where there are many buckets, pays that lie near
// each other share one, so that a change does not cost more with every pay that is asked for.
// Not thread-safe; no clock, no I/O.
//
// A contractor's Thompson sample is drawn for a minute at a time (a draw) and is part of the
// rank, so that the best of a bucket are the best by the formula itself and not by a guess at it.
// A sample depends on the contractor, his evidence, the draw and the index's seed alone. What only
// passing time changes (waits, shares, draws) is brought up to date by Refresh() in turn, everybody
// within thirty seconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"
#include "fairlead/v1/resources.pb.h"
#include "scheduler/dispatch/policy.h"
#include "scheduler/dispatch/rank_bucket.h"
#include "scheduler/dispatch/standing.h"
#include "scheduler/quality/score.h"

namespace fairlead::dispatch {

// A contractor who is there.
struct Availability {
  int credit = 0;             // Offers he can take now; 0: busy, not to be found, but remembered.
  int gold_open = 0;          // Gold that he is offered or works at.
  int64_t last_offer_ms = 0;  // When he came, where there was none.
  int64_t since_ms = 0;       // Online without a break since.
  int64_t until_ms = 0;       // Not offered anything afterwards.
  double min_pay_micros = 0;
  std::vector<std::string> skills;
};

struct BucketKey {
  v1::TaskKind kind = v1::TASK_KIND_UNSPECIFIED;
  double alternatives = 2;
  bool gold = false;
  double pay_micros = 0;            // At most; see BucketFor().
  std::vector<std::string> skills;  // In order.
  double least_quality = 0;         // Of whom it is proven (score.h); 0: anybody's.
  std::string excluded_skill;       // Nobody's who has it; empty: none.
  bool paced = false;               // Gold of those only whose next answer may be gold (policy.h).
};

class FreeIndex {
 public:
  using Scores = std::function<quality::ContractorScore(absl::string_view, v1::TaskKind)>;

  // `scores` must outlive the index.
  FreeIndex(const Policy& policy, uint64_t sample_seed, int64_t offer_window_ms, Scores scores);
  FreeIndex(const FreeIndex&) = delete;
  FreeIndex& operator=(const FreeIndex&) = delete;

  // Takes a contractor up or replaces what is known of him, scores included. What he was offered
  // lately is remembered for an hour after his time has passed. O(buckets).
  void Put(absl::string_view contractor, const Availability& availability, int64_t now_ms);
  // What he was offered lately, in micros; decays with a half-life of ten minutes.
  void SetEarned(absl::string_view contractor, double micros, int64_t now_ms);

  // Brings up to date whose turn it is; called before a round.
  void Refresh(int64_t now_ms);

  size_t free() const { return free_; }  // Contractors with credit.
  size_t known() const { return by_name_.size(); }
  size_t bytes() const;  // Memory of entries and buckets.
  size_t buckets() const { return buckets_.size(); }

  // The rest is for the matcher. Buckets are made when first asked for, O(contractors), and
  // forgotten when nobody asked for ten minutes; a reference holds until the next Refresh().
  struct Bucket {
    BucketKey key;
    RankBucket ranks;
    std::vector<char> admits;  // By number of a set of skills.
    int64_t asked_ms = 0;
  };
  // The bucket of this very key, or, beyond the first 32 buckets, the one of its class of pay (four
  // an octave): its key then says the class's upper end, and TakesFor() who asks for more.
  Bucket& BucketFor(const BucketKey& key, int64_t now_ms);
  bool TakesFor(Slot slot, double pay_micros) const {
    return entries_[slot].min_pay_micros <= pay_micros;
  }

  absl::string_view NameOf(Slot slot) const;
  Slot Find(absl::string_view contractor) const;  // kNoSlot where he is not known.
  uint64_t HashOf(Slot slot) const;
  // False (and no longer found) for one whose time has passed.
  bool Present(Slot slot, int64_t now_ms);
  // Whether he is a member of the bucket with credit left.
  static bool In(const Bucket& bucket, Slot slot);
  // Whether he has the skills that the bucket asks for, and not the one it excludes.
  bool HasSkills(const Bucket& bucket, Slot slot) const {
    return bucket.admits[entries_[slot].skills] != 0;
  }
  // His standing in a bucket, the sample brought up to date.
  const Member& MemberAt(Bucket& bucket, Slot slot, int64_t now_ms);
  double QualityMeanOf(const Member& member) const;
  // Of those who are free; shares in a unit of the index's own, to which Scaled() brings micros.
  Totals TotalsAt(int64_t now_ms) const;
  double Scaled(double micros, int64_t now_ms) const { return micros * Scale(now_ms); }
  // Waiting windows since his last offer, not limited.
  double WaitingOf(Slot slot, int64_t now_ms) const;
  // All but the floor, with Member.gain: of a task about which nothing is known yet, or gold.
  Features FeaturesOf(const Bucket& bucket, Slot slot, const Totals& totals, int64_t now_ms) const;
  // He is offered a task: credit, share, wait and gold in hand follow.
  void Charge(Slot slot, double pay_micros, bool gold, int64_t now_ms);

 private:
  struct Entry {
    uint32_t shift = 0;        // Of his draws, in milliseconds.
    float min_pay_micros = 0;  // Rounded up, where it must be.
    float earned = 0;          // Micros · 2^(time / half-life), see Scale().
    // Tenths of seconds since base_ms_.
    uint32_t last_offer = 0, since = 0, until = 0;
    uint32_t skills : 20 = 0;  // Number of a set of skills.
    uint32_t free : 1 = 0;     // Has credit and can be found.
    uint32_t veteran : 1 = 0;  // Online for the whole accounting window.
    uint32_t used : 1 = 0;
    uint16_t credit = 0;
    uint16_t gold_open = 0;
  };
  static_assert(sizeof(Entry) == 32);
  struct Name {
    static constexpr size_t kInline = 26;
    int8_t size = 0;  // Below 0: in long_names_.
    char text[kInline];
  };
  struct ByName {
    using is_transparent = void;
    const FreeIndex* index;
    absl::string_view Text(Slot slot) const { return index->NameOf(slot); }
    absl::string_view Text(absl::string_view name) const { return name; }
    template <typename T>
    size_t operator()(const T& key) const {
      return absl::Hash<absl::string_view>()(Text(key));
    }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return Text(a) == Text(b);
    }
  };

  Slot SlotOf(absl::string_view contractor);
  uint32_t Tenths(int64_t ms) const;
  uint32_t WaitQuantum(const Entry& entry) const;
  uint32_t DrawAt(Slot slot, int64_t now_ms) const;
  double Scale(int64_t now_ms) const;
  void Rescale(int64_t now_ms);
  uint32_t SkillSet(std::vector<std::string> skills);
  bool SuitsSet(const Bucket& bucket, uint32_t skills) const;
  static bool Admits(const Bucket& bucket, const Entry& entry);
  // By what he has shown, where that is asked about.
  static bool Suits(const Bucket& bucket, const Member& shared);
  void Count(Slot slot, int sign);
  void SetFree(Slot slot, bool free, int64_t now_ms);
  // What buckets of one kind of work share of a contractor.
  struct Shared {
    v1::TaskKind kind;
    Member member;
  };
  using SharedByKind = absl::InlinedVector<Shared, 4>;
  const Member& SharedOf(v1::TaskKind kind, Slot slot, int64_t now_ms, SharedByKind& known) const;
  void Populate(Bucket& bucket, int64_t now_ms);
  void Join(Bucket& bucket, Slot slot, const Member& shared, const Totals& totals, int64_t now_ms);
  float Sample(v1::TaskKind kind, Slot slot, const Member& member) const;
  void SetGain(const Bucket& bucket, Slot slot, Member& member) const;
  double KeyOf(const Bucket& bucket, Slot slot, const Totals& totals, int64_t now_ms) const;
  void RefreshOne(Slot slot, const Totals& totals, int64_t now_ms);
  void Forget(Slot slot);

  const Policy policy_;
  const uint64_t sample_seed_;
  const double offer_window_seconds_;
  const Scores scores_;
  const double newcomer_sd_;
  int64_t base_ms_ = 0;   // Set by the first Put or Refresh.
  int64_t scale_ms_ = 0;  // Where the scale of shares is 1.
  int64_t refreshed_ms_ = 0;
  Slot cursor_ = 0, slots_ = 0;
  std::vector<Slot> unused_;
  Blocks<Entry> entries_;
  Blocks<Name> names_;
  absl::flat_hash_map<Slot, std::string> long_names_;
  absl::flat_hash_set<Slot, ByName, ByName> by_name_;
  std::map<std::vector<std::string>, uint32_t> skill_numbers_;
  std::vector<const std::vector<std::string>*> skill_sets_;  // By number.
  std::map<std::string, std::unique_ptr<Bucket>> buckets_;
  // Of those who are free.
  size_t free_ = 0;
  size_t veterans_ = 0;
  int64_t others_since_ = 0;  // Sum of Entry.since of those who are not veterans.
  double earned_ = 0;
};

}  // namespace fairlead::dispatch
