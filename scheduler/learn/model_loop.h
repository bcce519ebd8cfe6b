// LOOP: from labels to models to prelabels (hops 11, 13 and 14). For every project that asks for
// it: enough new labels, old ones, or a champion whose error has risen → dataset manifest →
// training job; a finished one → registered, judged by the gate, promoted or refused; the champion
// → prelabel jobs for the tasks that wait; what it turns out to be worth → kept, or the former one
// again; labels that models doubt → to people once more.
//
// Everything is kept in the model's record (one pending job a model) and in the lane, under
// deterministic ids: a loop that dies anywhere is taken up by the next, and a job that Redis forgot
// is enqueued again.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/random/random.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/blob/blob_store.h"
#include "common/queue/job_queue.h"
#include "scheduler/dispatch/task_view.h"
#include "scheduler/learn/registry_steps.h"
#include "scheduler/learn/service_watch.h"
#include "scheduler/store/event_codec.h"
#include "scheduler/store/log_index.h"
#include "scheduler/store/registry_store.h"
#include "scheduler/store/registry_view.h"
#include "scheduler/store/task_store.h"

namespace fairlead::learn {

struct ModelLoopParts {
  store::TaskStore* tasks;
  store::RegistryStore* registry_store;
  const store::RegistryView* registry;
  const store::LogIndex* index;
  const dispatch::TaskView* view;
  BlobStore* blobs;
  queue::JobQueue* jobs;
};

class ModelLoop final : public store::EventSink {
 public:
  explicit ModelLoop(const ModelLoopParts& parts) : parts_(parts) {}

  // Takes note of finished jobs. Thread-safe.
  void Apply(const store::v1::Event& event, int64_t position) override;

  // One round over all projects; returns how many jobs were applied or enqueued. One thread.
  absl::StatusOr<int> RunOnce(absl::Time now);

 private:
  absl::StatusOr<int> ApplyFinished(absl::Time now);
  absl::Status ApplyTraining(const store::v1::JobFinished& finished, absl::Time now);
  // What the job's evaluation proves; nothing where it brought none or its blobs are gone.
  absl::StatusOr<std::optional<RoundEvidence>> EvidenceFor(const store::v1::JobFinished& finished);
  absl::StatusOr<store::v1::DatasetManifest> BuildManifest(const store::v1::ProjectRecord& project,
                                                           const store::v1::ModelRecord& model);
  absl::Status ApplyPrelabels(const store::v1::JobFinished& finished);
  absl::Status ApplyCheck(const store::v1::JobFinished& finished, absl::Time now);
  // Lets the doubted labels' tasks in; returns how many there are now.
  absl::StatusOr<int64_t> SubmitChecks(const store::v1::JobFinished& finished, absl::Time now);
  // Notes what champions were worth in service, and takes one back that does worse.
  absl::Status Watch(const store::v1::ProjectRecord& project, absl::Time now);
  absl::StatusOr<int> EnsureTraining(const store::v1::ProjectRecord& project, absl::Time now);
  absl::Status StartTraining(const store::v1::ProjectRecord& project, store::v1::ModelRecord model,
                             int64_t labels);
  absl::StatusOr<int> EnsureCheck(const store::v1::ProjectRecord& project, absl::Time now);
  absl::StatusOr<int> EnsurePrelabels(const store::v1::ProjectRecord& project, absl::Time now);
  absl::Status EnqueuePrelabels(const store::v1::ModelRecord& model, absl::Time now,
                                const std::vector<std::string>& batch);

  const ModelLoopParts parts_;
  absl::BitGen gen_;  // Ids of new tasks.
  struct Asked {
    std::string version;
    absl::Time when;
  };
  // Prelabels asked for, by task. Asked again after a while, and by the next process.
  absl::flat_hash_map<std::string, Asked> asked_;
  absl::Time last_enqueue_check_ = absl::InfinitePast();
  absl::Time last_watch_ = absl::InfinitePast();
  absl::flat_hash_map<std::string, int64_t> noted_;  // Outcomes in the model's record, by project.
  ServiceWatch watch_;

  Mutex mu_;
  std::deque<store::v1::JobFinished> finished_ ABSL_GUARDED_BY(mu_);
};

// The kinds of work that a model can be trained for, as in JobRecord.kind ("ocr", "reward"); empty
// for the others.
std::string ModelKindOf(fairlead::v1::TaskKind kind);

}  // namespace fairlead::learn
