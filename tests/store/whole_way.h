// One task's whole way, by somebody who repeats whatever got no answer: a probe for what lost
// requests and lost replies do.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "scheduler/store/task_store.h"

namespace fairlead::store {

// Submits task "a" of kProject, lets one contractor return it and two answer it, completes it. Each
// call is made up to ten times while it says UNAVAILABLE; `before` is called ahead of each. Returns
// the first other error.
absl::Status GoTheWholeWay(TaskStore& store, int64_t now_ms, const std::function<void()>& before);

// Whether the task stands as one undisturbed way leaves it: every effect once.
absl::Status CheckTheWholeWay(TaskStore& store);

}  // namespace fairlead::store
