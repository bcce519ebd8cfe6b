// How many answers a task gets: as few as its target confidence allows (hop 9). Pure; thread-safe.
#pragma once

#include "fairlead/v1/resources.pb.h"

namespace fairlead::quality {

struct RedundancyLimits {
  int min_answers = 1, max_answers = 5;
  double target = 0.95;  // Confidence that ends a task early.
};

// The limits of a project with the defaults of resources.proto applied; max is never below min.
RedundancyLimits Limits(const v1::Redundancy& redundancy);

// Of a task that checks a doubted label: at least two answers, which one more may part.
RedundancyLimits LimitsOfCheck(RedundancyLimits limits);

enum class Verdict { kComplete, kMore };

struct RedundancyDecision {
  Verdict verdict;
  int want;  // Answers now wanted in all; when complete, those there are.
};

// Complete with `answers` >= min at the target confidence, or with `answers` >= max in any case;
// otherwise one more answer than there are, and at least min. A confidence of NaN counts as none.
RedundancyDecision DecideRedundancy(const RedundancyLimits& limits, int answers, double confidence);

}  // namespace fairlead::quality
