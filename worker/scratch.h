// The worker's directory on its node: checkpoints and models of jobs under way. It outlives the
// process, so that a restarted worker resumes what its predecessor began.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace fairlead::worker {

class Scratch {
 public:
  explicit Scratch(std::string root) : root_(std::move(root)) {}
  // <root>/jobs/<digest of the job's id>, created when missing.
  absl::StatusOr<std::string> JobDirectory(absl::string_view job) const;
  // Removes the job's directory. Failures are logged: they cost room, no truth.
  void Forget(absl::string_view job) const;
  // Removes directories of jobs untouched since `before`: of jobs that ended elsewhere.
  void RemoveOld(absl::Time before) const;
  const std::string& root() const { return root_; }

 private:
  std::string PathOf(absl::string_view job) const;
  const std::string root_;
};

}  // namespace fairlead::worker
