// LOOP: makes the offers (hops 4 to 6). What changed of the contractors goes into the index of the
// free ones, the tasks at the head of each project are read → match (pure) → explanations into the
// record log → commit of what is still valid. Only the leader of the pool runs it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/random/random.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/record_log/record_log.h"
#include "scheduler/dispatch/free_index.h"
#include "scheduler/dispatch/matching.h"
#include "scheduler/dispatch/policy.h"
#include "scheduler/dispatch/skill_tests.h"
#include "scheduler/dispatch/task_view.h"
#include "scheduler/learn/prelabel_use.h"
#include "scheduler/quality/calibration_book.h"
#include "scheduler/quality/qualification_book.h"
#include "scheduler/quality/score_book.h"
#include "scheduler/quality/spend_book.h"
#include "scheduler/store/log_index.h"
#include "scheduler/store/registry_view.h"
#include "scheduler/store/task_store.h"

namespace fairlead::dispatch {

struct DispatcherParts {
  store::TaskStore* tasks;
  TaskView* view;
  const store::RegistryView* registry;
  const quality::ScoreBook* scores;
  const quality::SpendBook* spend;
  const quality::QualificationBook* qualifications;
  const quality::CalibrationBook* calibrations;
  RecordLog* log;
  store::LogIndex* index;
};

// The quality that the contractor of a task's next place must have proven, by its answers so far
// and the time since the last of them (quality/redundancy.h, review.h); 0: anybody's. Pure.
double LeastQualityOf(const LiveTask& task, const fairlead::v1::ProjectSettings& settings,
                      int64_t now_ms);

// Whether gold is spread over the ordinary work of those whom it measures (IsDueForGold), instead
// of going first: there is ordinary work, and `shown` gold tasks have told already how far the
// project's confidence can be trusted, which is measured from 64 on as well as it needs to be. Not
// where a model is trained: gold proves it. Pure.
bool IsGoldPaced(const fairlead::v1::ProjectSettings& settings, const ProjectLoad& load,
                 size_t shown);

// Thread-compatible: one thread calls RunOnce.
class Dispatcher {
 public:
  Dispatcher(const DispatcherParts& parts, Policy policy);

  // One round; returns how many offers were committed. UNAVAILABLE while Redis is away.
  absl::StatusOr<int> RunOnce(absl::Time now);

 private:
  // A project's place in start-time fair queueing (Goyal, Vin & Cheng 1996): its virtual pass grows
  // by 1/weight with every offer, the smallest pass goes first.
  struct Share {
    double pass = 0;
  };

  // What a project's tasks are offered under, and its tasks, in the order of a round.
  struct Project {
    store::SharedProjectRecord record;
    std::vector<ReadyTask> tasks;
    std::optional<learn::Proven> prelabeller;  // Where waiting tasks are prelabelled.
    int adjudications = 0;                     // Places that only few may have.
    int64_t questions = 0;                     // Of a test: its tasks; else 0.
    bool paced = false;                        // Its gold: see IsGoldPaced().
  };

  // An offer that was sent to be committed, of a project with a budget or a test.
  struct Sent {
    std::string task, contractor;
    int64_t time_ms = 0;
  };

  void FollowContractors(int64_t now_ms);
  // The project's champion, where its waiting tasks are prelabelled; else nothing.
  std::optional<learn::Proven> Prelabeller(const std::string& key,
                                           const store::v1::ProjectRecord& project) const;
  std::vector<ReadyTask> ReadTasks(size_t limit, int64_t now_ms);
  // A place of a task to be offered, if it is not the model's turn or too many wait for the few.
  std::optional<ReadyTask> PlaceToOffer(const std::string& id, const LiveTask& live,
                                        Project& project, int64_t now_ms) const;
  // Once a second: the tasks that slow work holds up. Held work is looked through, so it is not
  // done in every round.
  void LookForSlowWork(int64_t now_ms);
  // What is chosen beside `choices`, so that each place is likely to be accepted.
  void OfferBeside(absl::Span<const ReadyTask> tasks, int64_t now_ms, std::vector<Choice>& choices);
  std::vector<ReadyTask> Interleave(int64_t now_ms);
  // Of the project's offers that were sent, those that the view has not seen yet.
  std::map<std::string, Sent>& Unseen(const std::string& key, int64_t now_ms);
  // Leaves of a round's choices one question of a test to each who may be asked one.
  void KeepWithinTakes(std::vector<Choice>& choices, int64_t now_ms);
  // Leaves of a project's tasks, in their order, the places that its budget can pay.
  void KeepWithinBudget(const std::string& key, Project& project, int64_t now_ms);
  quality::ContractorScore ScoreOf(const std::string& contractor, fairlead::v1::TaskKind kind,
                                   int64_t now_ms) const;
  // The project's window, or less where the contractor's record says so.
  absl::Duration OfferWindow(const fairlead::v1::ProjectSettings& settings,
                             const std::string& contractor, int64_t now_ms) const;
  // Takes out of `unsure` whoever was offered what was chosen for him.
  absl::StatusOr<int> Commit(absl::Time now, std::vector<Choice> choices,
                             absl::flat_hash_set<std::string>& unsure);

  const DispatcherParts parts_;
  const Policy policy_;
  absl::BitGen gen_;
  double virtual_time_ = 0;
  std::map<std::string, Share> shares_;                       // By project.
  std::map<std::string, Project> projects_;                   // Of the round.
  absl::flat_hash_map<std::string, std::string> project_of_;  // Of the tasks of the round.
  // Tasks of the round that are offered in the place of overdue work: its pay is held already.
  absl::flat_hash_set<std::string> from_overdue_;
  // By project and assignment: those that the view has not seen yet.
  std::map<std::string, std::map<std::string, Sent>> sent_;
  std::map<std::string, LiveTask> slow_;  // Of the last look, by task; of no round but the next.
  int64_t looked_ms_ = 0;
  FreeIndex free_;
  SkillTests tests_;
};

}  // namespace fairlead::dispatch
