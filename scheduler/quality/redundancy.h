// How many answers a task gets: as few as its target confidence allows (hop 9), and one more by an
// adjudicator where all of them leave too much doubt, or where the task is worth it. Pure;
// thread-safe.
//
// The adjudicator is a contractor of proven quality who has not seen the task: the lower end of his
// 90 % interval at the project's kind of work is high enough (score.h). His place is the one after
// max_answers, and completes the task whatever the confidence is then; of a task that is valued,
// every place after min_answers, of which there is at least one. Where none has taken it for
// kAdjudicatorWaitMs (nobody may be that good, or those who are decline), it becomes anybody's, by
// the usual order, and the label does not say that it was adjudicated.
#pragma once

#include <cstdint>

#include "fairlead/v1/resources.pb.h"

namespace fairlead::quality {

struct RedundancyLimits {
  int min_answers = 1, max_answers = 5;
  double target = 0.95;              // Confidence that ends a task early.
  double adjudicate_below = 0;       // Confidence with all answers; 0: never.
  double adjudicator_quality = 0.8;  // Lower end of his 90 % interval at least.
  bool valued = false;               // Worth an adjudicator, however sure the answers are.
};

// Since the answer before it was accepted.
inline constexpr int64_t kAdjudicatorWaitMs = 600'000;

// Whether a task of this priority is worth an adjudicator; then no model decides it alone either.
bool IsValued(const v1::Redundancy& redundancy, int priority);

// The limits of a project with the defaults of resources.proto applied; max is never below min.
RedundancyLimits Limits(const v1::Redundancy& redundancy);

// The same of one task: by its priority it may be valued, and `check` says that it checks a label.
RedundancyLimits LimitsOfTask(const v1::Redundancy& redundancy, int priority, bool check);

// Of a task that checks a doubted label: at least two answers, which one more may part.
RedundancyLimits LimitsOfCheck(RedundancyLimits limits);

enum class Verdict { kComplete, kMore };

struct RedundancyDecision {
  Verdict verdict;
  int want;  // Answers now wanted in all; when complete, those there are.
};

// Complete with `answers` >= min at the target confidence; with `answers` == max at
// adjudicate_below at least, and with more in any case; where the task is valued not with min only;
// otherwise one more answer than there are,
// and at least min. A confidence of NaN counts as none.
RedundancyDecision DecideRedundancy(const RedundancyLimits& limits, int answers, double confidence);

// Whether the answer after the first `answers` is an adjudicator's, when it is asked for
// `waited_ms` after the last of them. An ordinary task's; gold has no adjudicator.
bool IsAdjudicators(const RedundancyLimits& limits, int answers, int64_t waited_ms);

}  // namespace fairlead::quality
