// The leader's snapshot of what is open: tasks that have not ended, their places, and who is there
// to take an offer (hop 4). Built from Redis when leadership or an incarnation begins, then kept in
// step by the events; every replica keeps one, for it also knows each contractor's live offers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "fairlead/store/v1/records.pb.h"
#include "scheduler/dispatch/live_task.h"
#include "scheduler/dispatch/unfinished_work.h"
#include "scheduler/store/event_codec.h"
#include "scheduler/store/task_store.h"

namespace fairlead::dispatch {

struct Presence {
  int32_t credit = 0;
  int64_t until_ms = 0;
  int64_t since_ms = 0;  // Online without a break since.
  int64_t last_offer_ms = 0;
};

// Of whom something changed: presence, places held, scores or profile.
struct ContractorChange {
  std::string contractor;
  Presence presence;
  int32_t free = 0;       // Offers more he may hold; 0 while he is away.
  int32_t gold_open = 0;  // Gold among what he is offered or works at.
};

// One live place of one contractor.
struct HeldPlace {
  std::string project;
  std::string task;
  store::v1::Placement place;
  bool has_prelabel = false;
};

// What a project has under way.
struct ProjectLoad {
  int64_t tasks = 0;    // That have not ended,
  int64_t gold = 0;     // of which gold.
  int64_t answers = 0;  // Accepted of these.
  // That may still be accepted of what was offered: places that live, overdue work that still has
  // its place, and what was accepted when its task ended, until its window has passed.
  int64_t held = 0;
};

// Thread-safe.
class TaskView final : public store::EventSink {
 public:
  void Apply(const store::v1::Event& event, int64_t position) override;

  // Replaces what is known of one task shard or home by what Redis holds now.
  absl::Status LoadShard(redis::ConnectionPool& pool, const std::string& slot);
  absl::Status LoadHome(redis::ConnectionPool& pool, const std::string& slot);

  // Calls `visit` with tasks of each project that want an offer: its gold first, then the others,
  // both by priority, then by age, where
  // the less sure the champion is of a task, the older it counts, by ten minutes at most (least
  // confidence sampling; Lewis, Gale 1994). Until it has said of `limit` of them that it takes
  // them, or has seen eight times as many: what waits for something else does not keep back the
  // rest. That of gold and of the others each. The view is locked meanwhile: copy, do not call
  // back.
  void VisitWanting(
      size_t limit,
      const std::function<bool(const std::string& task, const LiveTask&)>& visit) const;
  // Calls `visit` with each task that somebody is offered or works at, once for each of them. The
  // view is locked meanwhile. O(live places).
  void VisitHeld(const std::function<void(const std::string& task, const LiveTask&)>& visit) const;
  // Contractors changed since the last call, each once, as they are at `now_ms`. Who goes without a
  // word is not among them: Presence.until_ms says when.
  std::vector<ContractorChange> TakeChanged(int64_t now_ms);
  // An offer that was just committed counts from now on, not only once it is on disk: or the place
  // would be offered to the next one meanwhile, in vain.
  void NoteOffered(const std::string& task, const std::string& contractor,
                   const std::string& assignment);
  // Counts a contractor as changed, for whoever could not use what he was told.
  void Touch(const std::string& contractor);
  // Live offers and assignments of a contractor, oldest first.
  std::vector<HeldPlace> PlacesOf(absl::string_view contractor) const;
  // A contractor's place of one task, live or not; nothing once the task has ended.
  std::optional<HeldPlace> PlaceOf(absl::string_view task, absl::string_view contractor) const;
  // Live places of one task.
  std::vector<store::v1::Placement> LivePlacesOf(absl::string_view task) const;
  // Whether the place that was committed as `assignment` has been seen, or its task has ended
  // since.
  bool HasSeen(absl::string_view task, absl::string_view contractor,
               absl::string_view assignment) const;
  ProjectLoad LoadOf(absl::string_view project) const;
  bool Online(absl::string_view contractor, int64_t now_ms) const;
  int32_t OnlineCount(int64_t now_ms) const;
  // Projects with a task that has not ended.
  std::vector<std::string> Projects() const;
  // Creation of the oldest task of a project that has not ended; 0 when there is none.
  int64_t OldestCreateMs(absl::string_view project) const;
  // Tasks of a project in rank order after `after` (a task id; "" from the first), at most `limit`.
  std::vector<std::string> TasksOf(absl::string_view project, absl::string_view after,
                                   size_t limit) const;
  // Tasks other than gold and checks without a prelabel of `version`, at most `limit`, in rank
  // order.
  std::vector<std::string> WithoutPrelabel(absl::string_view project, absl::string_view version,
                                           size_t limit) const;
  // The last event of the slot that its load had seen; 0 before.
  uint64_t LoadedSeq(absl::string_view slot) const;
  // Waits until something changed since `seen` (a counter), or for `timeout`; returns the counter.
  uint64_t AwaitChange(uint64_t seen, absl::Duration timeout) const;

 private:
  using Rank = std::pair<int64_t, std::string>;  // Priority and time, then id.
  // Tasks of a project that want an offer.
  struct Wanting {
    std::set<Rank> gold, others;
  };
  // Offers whose events have not come yet.
  struct Ahead {
    int32_t offers = 0, gold = 0;
  };

  static Rank RankOf(const std::string& id, const LiveTask& task);
  // The order in which tasks are offered: as RankOf, but what the champion is unsure of goes ahead.
  static Rank TurnOf(const std::string& id, const LiveTask& task);
  void Insert(const std::string& slot, const std::string& id, LiveTask task)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Erase(const std::string& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Adds a task to its project's load, or takes it off.
  void Count(const LiveTask& task, int sign) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Reindex(const std::string& id, const LiveTask& task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetPlace(const std::string& id, LiveTask& task, const store::v1::Placement& place)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The event of an offer has come.
  void DropAhead(LiveTask& task, const store::v1::Placement& place)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // An offer of this task to him is ahead, or no more.
  void CountAhead(const std::string& contractor, const LiveTask& task, int32_t by)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::set<Rank>& WantingOf(const LiveTask& task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  int32_t FreeOf(const std::string& contractor, const Presence& presence) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  int32_t GoldOpenOf(const std::string& contractor) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void NoteContractors(const store::v1::Event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ApplyToTask(const store::v1::Event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ApplyEnd(const store::v1::Event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  mutable CondVar changed_;
  uint64_t changes_ ABSL_GUARDED_BY(mu_) = 0;
  absl::flat_hash_map<std::string, uint64_t> loaded_seq_ ABSL_GUARDED_BY(mu_);  // By slot.
  absl::flat_hash_map<std::string, LiveTask> tasks_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, std::string> slot_of_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::set<Rank>> live_ ABSL_GUARDED_BY(mu_);  // By project: all.
  std::map<std::string, Wanting> wanting_ ABSL_GUARDED_BY(mu_);      // By project.
  absl::flat_hash_map<std::string, ProjectLoad> loads_ ABSL_GUARDED_BY(mu_);
  UnfinishedWork unfinished_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, std::set<std::string>> held_ ABSL_GUARDED_BY(mu_);  // Tasks.
  absl::flat_hash_map<std::string, Ahead> ahead_ ABSL_GUARDED_BY(mu_);  // By contractor.
  absl::flat_hash_map<std::string, Presence> presence_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<std::string> touched_ ABSL_GUARDED_BY(mu_);  // Contractors.
};

}  // namespace fairlead::dispatch
