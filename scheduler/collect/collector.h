// LOOP: turns answers into labels (hops 9 and 10). For every dirty task: aggregate (pure), then
// complete it, ask for one more answer, or send it to the dead letters, by compare-and-set. What a
// crash leaves undone is in the shard's dirty set and is taken up by the next round.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "scheduler/quality/calibration_book.h"
#include "scheduler/quality/qualification_book.h"
#include "scheduler/quality/score_book.h"
#include "scheduler/store/redis_task_store.h"
#include "scheduler/store/registry_view.h"

namespace fairlead::collect {

// Thread-compatible: one thread calls RunOnce.
class Collector {
 public:
  Collector(store::RedisTaskStore* tasks, const store::RegistryView* registry,
            const quality::ScoreBook* scores, const quality::CalibrationBook* calibrations,
            const quality::QualificationBook* tests)
      : tasks_(tasks),
        registry_(registry),
        scores_(scores),
        calibrations_(calibrations),
        tests_(tests) {}

  // Decides up to `limit` dirty tasks of every shard, oldest first, in three round trips a shard
  // (four where there are tests of skills); returns how many.
  absl::StatusOr<int> RunOnce(int limit);

 private:
  absl::StatusOr<int> RunShard(const std::string& slot, int limit);
  // Takes the questions of tests that want more answers out of `ids` into `conclusions`: each has
  // thousands of places, which need not be read for it.
  absl::Status SetQuestionsApart(const std::string& slot, std::vector<std::string>& ids,
                                 std::vector<store::Conclusion>& conclusions) const;
  absl::StatusOr<store::Conclusion> Decide(const store::TaskState& task) const;
  store::Conclusion Conclude(const store::TaskRef& ref, const store::v1::ProjectRecord& project,
                             const store::TaskState& task) const;

  store::RedisTaskStore* const tasks_;
  const store::RegistryView* const registry_;
  const quality::ScoreBook* const scores_;
  const quality::CalibrationBook* const calibrations_;
  const quality::QualificationBook* const tests_;
};

// The label of a task's answers as they stand, with the evidence they give about their authors.
// Its confidence is the calibrated one, beside which the raw one stands where they differ. Pure but
// for the scores it reads; also what a preview of a label shows.
store::v1::LabelRecord LabelOf(const store::v1::ProjectRecord& project,
                               const store::TaskState& task, const quality::ScoreBook& scores,
                               const quality::batch::Calibration& calibration);

}  // namespace fairlead::collect
