// Whether a version's file gives another process what it gave the one that trained it: its model is
// loaded by fairlead-trainer, started for this, before the worker loads the file itself (hop 12).
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/program.h"
#include "trainer/train.h"
#include "worker/job_handler.h"
#include "worker/round.h"

namespace fairlead::worker {

struct LoadTestOptions {
  std::string program;  // Path of fairlead-trainer.
  int threads = 1;
  std::string device = "auto";  // As the training's: another device rounds otherwise.
  ProgramLimits limits;
};

// What came of it. The gate refuses a version that did not pass (scheduler/learn/gate.h).
struct LoadTest {
  ProgramEnd end;
  int items = 0;      // That both processes read.
  int differing = 0;  // Of them: another text, or a confidence or score that differs by over 0.001.
  double seconds = 0;

  bool passed() const;
  // As metrics of the job's result: "load_test" 1 or 0, "load_test.items", "load_test.differing",
  // "load_test.seconds", and what ended the process if it failed: "load_test.exit_code",
  // "load_test.signal", "load_test.timed_out", "load_test.out_of_memory".
  void AddTo(std::map<std::string, double>& metrics) const;
};

// `folder` holds the version's file as model.safetensors, and for a while the sample: at most 64 of
// the round's judged items, or of its examples where none is judged. `trained` is the model that
// training left in memory. CANCELLED or ABORTED by the context; UNAVAILABLE when the program cannot
// be started, or was told to stop from outside, which proves nothing of the file.
absl::StatusOr<LoadTest> TestOcrFile(const std::string& folder, trainer::OcrModel& trained,
                                     const Round<trainer::OcrExample>& round,
                                     const LoadTestOptions& options, JobContext& context);

// Pairs that `fairlead-trainer score` does not take are no part of the sample.
absl::StatusOr<LoadTest> TestRewardFile(const std::string& folder,
                                        const trainer::RewardModel& trained,
                                        const Round<trainer::PreferenceItem>& round,
                                        const LoadTestOptions& options, JobContext& context);

}  // namespace fairlead::worker
