// What a project's labels cost so far and may cost yet, and how much may still be offered within
// its budget. Pure; thread-safe. Money in millionths of the rate's currency.
#pragma once

#include <cstdint>

#include "fairlead/v1/resources.pb.h"

namespace fairlead::quality {

// How far a project has come.
struct Progress {
  int64_t completed = 0;          // Tasks with a label, gold included.
  int64_t completed_answers = 0;  // That they rest on.
  int64_t waiting = 0;            // Tasks that have not ended.
  int64_t waiting_answers = 0;    // Accepted of these.
  int64_t held = 0;               // Answers that may still come of what was offered.
  int64_t paid_micros = 0;
};

// At `rate_micros` an answer, and as many answers a task as the completed ones took; before there
// are any, halfway between least and most. What is held counts in any case.
v1::Project::Forecast ForecastOf(const v1::ProjectSettings& settings, int64_t rate_micros,
                                 const Progress& progress);

// How many offers more can be paid, if all that is held is: never below 0. The greatest number
// there is where there is no budget, or an answer costs nothing.
int64_t AffordableOffers(int64_t budget_micros, int64_t rate_micros, const Progress& progress);

}  // namespace fairlead::quality
