// The cases of ./dev bench loop.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "tests/bench/marks.h"

namespace fairlead::bench {

struct LoopOptions {
  std::string images;
  std::string work_folder;
  int tasks = 2000;
  double seconds = 300;
  uint64_t seed = 1;
};

// Human answers a task with training and prelabels against the same tasks, contractors and
// dispatcher without; and how long a label takes to count in a gate's decision.
absl::Status BenchAnswers(const LoopOptions& options, Marks& marks);

// Recall and precision of the label check on 5 % planted wrong labels, half of them another text,
// half of them one wrong character.
absl::Status BenchLabelErrors(const LoopOptions& options, Marks& marks);

// Labels to 90 % exact match when the least certain images are labelled first, against a random
// order; the mean of three draws.
absl::Status BenchOrder(const LoopOptions& options, Marks& marks);

// From submit to offer while a training runs beside, at a worker's low priority, against without.
absl::Status BenchDispatchBesideTraining(const LoopOptions& options, Marks& marks);

}  // namespace fairlead::bench
