// Where the record log holds what: results in order, decisions, histories, pay, judged items. The
// log is the history; this is its table of contents in memory (about 100 bytes a task), built at
// start.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"
#include "common/record_log/record_log.h"
#include "fairlead/store/v1/records.pb.h"
#include "scheduler/store/event_codec.h"

namespace fairlead::store {

// Thread-safe.
class LogIndex final : public EventSink {
 public:
  explicit LogIndex(RecordLog* log) : log_(log) {}

  void Apply(const v1::Event& event, int64_t position) override;

  // The position that the log's next record will have.
  int64_t LogEnd() const { return log_->End(); }
  // Sequence of the last event of a slot that the log holds; 0 for none.
  uint64_t LastSeq(absl::string_view slot) const;
  // Of the last paid work of a slot that the log holds: what pay is folded up to.
  uint64_t LastPaySeq(absl::string_view slot) const;

  // The end events (completed, ended) of a project, in the order they happened, after position
  // `after` (−1: from the beginning), at most `limit`, as (position, event).
  absl::StatusOr<std::vector<std::pair<int64_t, v1::Event>>> Ends(absl::string_view project,
                                                                  int64_t after,
                                                                  size_t limit) const;
  // Blocks until a project has an end event after `after`, or `timeout`.
  bool AwaitEnd(absl::string_view project, int64_t after, absl::Duration timeout) const;

  // All events about one task, oldest first, at most `limit`; decisions included.
  absl::StatusOr<std::vector<v1::Event>> History(absl::string_view task, size_t limit) const;
  // The event that submitted the task, with those submitted beside it. NOT_FOUND.
  absl::StatusOr<v1::Event> SubmissionEvent(absl::string_view task) const;
  // The task's record as submitted. NOT_FOUND.
  absl::StatusOr<v1::TaskRecord> Submission(absl::string_view task) const;
  // The decision behind an assignment. NOT_FOUND.
  absl::StatusOr<fairlead::v1::Decision> DecisionOf(absl::string_view assignment) const;
  // Paid work of one contractor (PaidWork), newest first, skipping `skip`, at most `limit`.
  absl::StatusOr<std::vector<v1::AnnotationRecord>> Annotations(absl::string_view contractor,
                                                                size_t skip, size_t limit) const;
  size_t AnnotationCount(absl::string_view contractor) const;
  // Labels that people gave a project so far, gold apart.
  int64_t LabelCount(absl::string_view project) const;
  // When label number `count` (from 0, gold apart) of a project came, Unix ms; INT64_MAX without
  // one.
  int64_t OldestLabelAfter(absl::string_view project, int64_t count) const;
  // Every submission of a project with its label, in order of submission.
  absl::Status VisitLabelled(
      absl::string_view project,
      const std::function<void(const v1::TaskRecord&, const v1::LabelRecord&)>& visit) const;
  // Whether no model may learn from the task, or be judged by it, any more: an answer to it was
  // deleted, or it was gold and was retracted.
  bool BarredFromLearning(absl::string_view task) const;

 private:
  struct Project {
    std::vector<int64_t> submits;  // Positions of TasksSubmitted, in order.
    std::vector<int64_t> ends;
    std::vector<int64_t> label_ms;  // When each label came, gold apart.
  };
  struct Task {
    int64_t submit = -1;
    int64_t complete = -1;
    bool gold = false;
    bool barred = false;
    std::vector<int64_t> events;
  };

  void ApplySubmit(const v1::Event& event, int64_t position) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<v1::Event> ReadEvent(int64_t position) const;

  RecordLog* const log_;
  mutable Mutex mu_;
  mutable CondVar ended_;
  absl::flat_hash_map<std::string, uint64_t> last_seq_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, uint64_t> last_pay_seq_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, Project> projects_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, Task> tasks_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, int64_t> decisions_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, std::vector<int64_t>> contractors_ ABSL_GUARDED_BY(mu_);
};

// The record log read from its beginning through `sinks`. DATA_LOSS for a record that is no event.
absl::Status ReplayLog(RecordLog& log, const std::vector<EventSink*>& sinks);

}  // namespace fairlead::store
