// Sends tasks in batches (hop 1). A batch's request id is a digest of the run, the project, the
// batch's place and its content: a run that is repeated, whole or after a break, submits nothing
// twice.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "fairlead/v1/task_service.pb.h"
#include "scheduler/cli/client.h"

namespace fairlead::cli {

// One task to submit; gold when it has an answer.
struct NewTask {
  v1::Task task;
  std::optional<v1::Answer> answer;
};

struct SubmitOptions {
  std::string project;  // Full name.
  // Tells two deliberate submissions of the same content apart; empty is fine otherwise.
  std::string run_id;
  int max_tasks = 500;                                           // A batch, 1–1,000.
  int64_t max_bytes = 2 << 20;                                   // A batch; the server takes 3 MiB.
  absl::Duration retry_for = absl::Minutes(2);                   // While the server is UNAVAILABLE.
  std::function<void(int64_t done, int64_t total)> on_progress;  // Optional; after each batch.
};

// Which of `tasks` go together: at most max_tasks and max_bytes of serialized tasks, gold apart
// from the others, order kept. A task above max_bytes alone is a batch of its own. Indices into
// `tasks`.
std::vector<std::vector<size_t>> MakeBatches(const std::vector<NewTask>& tasks,
                                             const SubmitOptions& options);

// 64 hex digits. The same for the same run, project, index and tasks, on every machine.
std::string BatchRequestId(const SubmitOptions& options, size_t index,
                           const std::vector<const NewTask*>& tasks);

// Submits all and returns the tasks' names in the order of `tasks`. Images above 256 KiB must be
// blobs already (UploadBlob). Stops at the first refusal; what was answered stays submitted, and
// the message says how many tasks that are.
absl::StatusOr<std::vector<std::string>> SubmitAll(const Client& client,
                                                   const std::vector<NewTask>& tasks,
                                                   const SubmitOptions& options);

// Stores bytes as a blob of the client's tenant; returns its id. Idempotent.
absl::StatusOr<std::string> UploadBlob(const Client& client, absl::string_view bytes);
// Reads a blob of the client's tenant whole.
absl::StatusOr<std::string> DownloadBlob(const Client& client, const std::string& blob);

// Puts an image into a task: inline up to 256 KiB, as an uploaded blob above.
absl::Status AttachImage(const Client& client, std::string bytes, v1::Task& task);

}  // namespace fairlead::cli
