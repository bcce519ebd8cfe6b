// The transformer of ./dev bench reward: its speed beside Python's and its figures beside the
// linear model's.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/bench/marks.h"
#include "trainer/train.h"

namespace fairlead::bench {

// Trained tokens a CPU-second on one thread, the same batches in C++ and in Python (without
// python3-torch only said to be skipped); then accuracy and likelihood on `dev` after training.
absl::Status MeasureTransformer(const std::vector<trainer::PreferenceItem>& train,
                                const std::vector<trainer::PreferenceItem>& dev, Marks& marks);

}  // namespace fairlead::bench
