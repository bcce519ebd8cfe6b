#include "scheduler/quality/redundancy.h"

#include <algorithm>

namespace fairlead::quality {

RedundancyLimits Limits(const v1::Redundancy& redundancy) {
  RedundancyLimits limits;
  if (redundancy.min_answers() > 0) limits.min_answers = redundancy.min_answers();
  if (redundancy.max_answers() > 0) limits.max_answers = redundancy.max_answers();
  if (redundancy.target_confidence() > 0) limits.target = redundancy.target_confidence();
  limits.max_answers = std::max(limits.max_answers, limits.min_answers);
  limits.adjudicate_below = redundancy.adjudicate_below();
  if (redundancy.adjudicator_quality() > 0) {
    limits.adjudicator_quality = redundancy.adjudicator_quality();
  }
  return limits;
}

RedundancyLimits LimitsOfCheck(RedundancyLimits limits) {
  limits.min_answers = std::max(limits.min_answers, 2);
  limits.max_answers = std::max(limits.max_answers, limits.min_answers + 1);
  return limits;
}

bool IsValued(const v1::Redundancy& redundancy, int priority) {
  return redundancy.has_adjudicate_priority() && priority <= redundancy.adjudicate_priority();
}

RedundancyLimits LimitsOfTask(const v1::Redundancy& redundancy, int priority, bool check) {
  RedundancyLimits limits = Limits(redundancy);
  limits.valued = IsValued(redundancy, priority);
  return check ? LimitsOfCheck(limits) : limits;
}

RedundancyDecision DecideRedundancy(const RedundancyLimits& limits, int answers,
                                    double confidence) {
  if (limits.valued && answers <= limits.min_answers) {
    return {Verdict::kMore, answers < limits.min_answers ? limits.min_answers : answers + 1};
  }
  const bool enough = answers >= limits.min_answers && confidence >= limits.target;
  const bool doubted = answers == limits.max_answers && limits.adjudicate_below > 0 &&
                       !(confidence >= limits.adjudicate_below);
  if (enough || (answers >= limits.max_answers && !doubted)) return {Verdict::kComplete, answers};
  return {Verdict::kMore, std::max(answers + 1, limits.min_answers)};
}

bool IsAdjudicators(const RedundancyLimits& limits, int answers, int64_t waited_ms) {
  const bool doubted = limits.adjudicate_below > 0 && answers >= limits.max_answers;
  const bool valued = limits.valued && answers >= limits.min_answers;
  return (doubted || valued) && waited_ms < kAdjudicatorWaitMs;
}

}  // namespace fairlead::quality
