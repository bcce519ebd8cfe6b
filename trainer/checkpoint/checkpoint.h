// Checkpoints of a running training: the optimiser's flat tensors and where the run stands.
// Torch-free.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "trainer/checkpoint/safetensors.h"

namespace fairlead::trainer {

struct Checkpoint {
  std::string run_digest;  // Of data, options, warm start, threads and device: must be the run's.
  int64_t step = 0;        // Finished steps.
  int64_t epoch = 0;
  std::string curve_json;   // The learning curve so far.
  int64_t micro_batch = 0;  // Images at once; smaller than the plan's after memory ran out.
  TensorMetadata run;       // What else to say of it: configuration, data, code, device, threads.
};

// Writes DIR/checkpoint-<run>-<step>-<SHA-256>.safetensors durably, then removes all but the run's
// newest two, and what killed writers left. One writer a directory at a time.
absl::Status WriteCheckpoint(const std::string& directory, const Checkpoint& checkpoint,
                             absl::Span<const TensorBytes> tensors);

struct StoredCheckpoint {
  Checkpoint checkpoint;
  TensorFile file;
};
// The newest sound checkpoint of this run; damaged, swapped and foreign ones are passed over with a
// line in the log. Nothing when there is none.
std::optional<StoredCheckpoint> ReadNewestCheckpoint(const std::string& directory,
                                                     const std::string& run_digest);

}  // namespace fairlead::trainer
