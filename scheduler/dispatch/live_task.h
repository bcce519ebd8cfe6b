// One open task as the scheduler keeps it in memory (task_view.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "fairlead/store/v1/records.pb.h"
#include "scheduler/quality/review.h"
#include "scheduler/store/task_store.h"

namespace fairlead::dispatch {

// A task that has not ended.
struct LiveTask {
  std::string project;
  int32_t priority = 0;
  int64_t create_ms = 0, expire_ms = 0;
  bool gold = false;
  bool check = false;  // Of a label that a model doubted: the model has no say in it.
  bool delayed = false;
  int32_t want = 0, have = 0, open = 0;
  quality::ReviewTurns turns;    // Only of use where the project has texts reviewed.
  std::string prelabel_version;  // Of the last prelabel; empty without one.
  double prelabel_confidence = 0;
  // By contractor. The deadline of a submitted one is the time its answer was accepted.
  std::map<std::string, store::v1::Placement> places;
  // Offers made whose events have not come yet: the assignment of each contractor.
  std::map<std::string, std::string> ahead;

  // Places to be offered.
  int32_t places_left() const { return want - have - open - static_cast<int32_t>(ahead.size()); }
  bool wants_offer() const { return !delayed && places_left() > 0; }
  // Places that overdue work still has.
  int32_t overdue() const;
};

// As it was submitted, and as Redis holds it.
LiveTask LiveTaskOf(const store::v1::TaskRecord& record);
LiveTask LiveTaskOf(const store::TaskState& state);

}  // namespace fairlead::dispatch
