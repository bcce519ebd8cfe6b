// A whole set of class answers as numbers: task × contractor × class, in order of task. What the
// batch methods of this folder work on. Pure; immutable once built, so thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace fairlead::quality::batch {

inline constexpr int32_t kUnknown = -1;  // The class of a task without gold, or without a label.

// One answer. Tasks, contractors and classes are numbered from 0.
struct ClassLabel {
  int32_t task, contractor, cls;
};

// An answer where its task is known.
struct ClassVote {
  int32_t contractor, cls;
};

class LabelMatrix {
 public:
  // The first answer of a contractor to a task counts; later ones are dropped and counted. Tasks
  // and contractors without an answer are allowed. INVALID_ARGUMENT naming the row for a number out
  // of range, and for fewer than one class. O(labels), besides sorting within each task.
  static absl::StatusOr<LabelMatrix> Build(int tasks, int contractors, int classes,
                                           absl::Span<const ClassLabel> labels);

  int tasks() const { return static_cast<int>(begin_.size()) - 1; }
  int contractors() const { return contractors_; }
  int classes() const { return classes_; }
  int64_t repeats() const { return repeats_; }  // Answers dropped by Build.
  int64_t size() const { return static_cast<int64_t>(votes_.size()); }

  // The answers to one task, by contractor.
  absl::Span<const ClassVote> votes(int task) const {
    return {votes_.data() + begin_[task], static_cast<size_t>(begin_[task + 1] - begin_[task])};
  }
  // Where the task's first vote stands among all votes, in order of task.
  int64_t first_vote(int task) const { return begin_[task]; }

 private:
  LabelMatrix() = default;

  int contractors_ = 0, classes_ = 0;
  int64_t repeats_ = 0;
  std::vector<int64_t> begin_;
  std::vector<ClassVote> votes_;
};

}  // namespace fairlead::quality::batch
