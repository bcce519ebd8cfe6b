// Replays real answers under a choice policy: who would have been asked what, and how good would
// the labels have been? An answer can be asked of a contractor only if he gave one. At each choice
// ten contractors are online, drawn by their number of answers; the policy names one of them and a
// task; his real answer comes at once. Pure: the same set, options and seed give the same outcome.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/dispatch/choice/choice_policy.h"
#include "scheduler/replay/replay_set.h"

namespace fairlead::replay {

struct ReplayOptions {
  // Mean over tasks: answers_per_task × tasks are drawn in all, spread as the policy likes. > 0.
  double answers_per_task = 3;
  double gold_rate = 0;  // Share of the tasks with truth whose truth is revealed; in [0, 1).
  // A task gets no more answers while its calibrated confidence is at least this; in (0, 1), or 0
  // for never. Confidences are stated anew with every fit: what was let go too early comes back.
  double stop = 0;
  absl::Status Validate() const;  // INVALID_ARGUMENT naming the field.
};

// One run. Shares and means over nothing are NaN.
struct ReplayOutcome {
  double answers_per_task = 0;  // Really drawn.
  double accuracy = 0;          // Of the default aggregator, over tasks with truth that is no gold.
  double gini = 0;              // Of answers, over all contractors.
  double starvation = 0;        // Share of contractors who were asked nothing.
  double seconds_per_label = 0;  // Mean over the answers with a time.
  double stopped_share = 0;      // Share of the tasks with truth that is no gold.
  // Over the stopped ones of them: those at the target when nothing more is asked.
  double stated_at_stop = 0, realised_at_stop = 0;
  int64_t stopped = 0;
};

absl::StatusOr<ReplayOutcome> RunReplay(const ReplaySet& set, const dispatch::ChoicePolicy& policy,
                                        const ReplayOptions& options, uint64_t seed);

// Means over runs. stated and realised are means over all stopped tasks of all runs.
struct ReplaySummary {
  ReplayOutcome mean;
  double accuracy_sd = 0;  // Between runs; 0 for one.
};
ReplaySummary Summarise(const std::vector<ReplayOutcome>& outcomes);

// Of non-negative shares; 0 where all are equal or zero.
double Gini(std::vector<double> shares);

}  // namespace fairlead::replay
