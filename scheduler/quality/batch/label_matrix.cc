#include "scheduler/quality/batch/label_matrix.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace fairlead::quality::batch {
namespace {

absl::Status Check(int tasks, int contractors, int classes, absl::Span<const ClassLabel> labels) {
  if (tasks < 0 || contractors < 0 || classes < 1) {
    return absl::InvalidArgumentError(
        "a label matrix needs at least one class and no negative size");
  }
  for (size_t i = 0; i < labels.size(); ++i) {
    const ClassLabel& label = labels[i];
    const auto outside = [](int value, int size) { return value < 0 || value >= size; };
    const char* field = outside(label.task, tasks)               ? "task"
                        : outside(label.contractor, contractors) ? "contractor"
                        : outside(label.cls, classes)            ? "class"
                                                                 : nullptr;
    if (field == nullptr) continue;
    return absl::InvalidArgumentError(absl::StrCat("labels[", i, "].", field, ": out of range"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LabelMatrix> LabelMatrix::Build(int tasks, int contractors, int classes,
                                               absl::Span<const ClassLabel> labels) {
  if (absl::Status status = Check(tasks, contractors, classes, labels); !status.ok()) return status;
  LabelMatrix matrix;
  matrix.contractors_ = contractors;
  matrix.classes_ = classes;
  std::vector<int64_t> next(static_cast<size_t>(tasks) + 1, 0);
  for (const ClassLabel& label : labels) ++next[label.task + 1];
  for (int t = 0; t < tasks; ++t) next[t + 1] += next[t];
  const std::vector<int64_t> begin = next;
  std::vector<ClassVote> votes(labels.size());
  for (const ClassLabel& label : labels) {
    votes[next[label.task]++] = {label.contractor, label.cls};
  }
  matrix.begin_.assign(static_cast<size_t>(tasks) + 1, 0);
  matrix.votes_.reserve(labels.size());
  const auto before = [](const ClassVote& a, const ClassVote& b) {
    return a.contractor < b.contractor;
  };
  const auto same = [](const ClassVote& a, const ClassVote& b) {
    return a.contractor == b.contractor;
  };
  for (int t = 0; t < tasks; ++t) {
    const auto first = votes.begin() + begin[t];
    auto last = votes.begin() + begin[t + 1];
    std::stable_sort(first, last, before);
    last = std::unique(first, last, same);
    matrix.votes_.insert(matrix.votes_.end(), first, last);
    matrix.begin_[t + 1] = static_cast<int64_t>(matrix.votes_.size());
  }
  matrix.repeats_ = static_cast<int64_t>(labels.size()) - matrix.size();
  return matrix;
}

}  // namespace fairlead::quality::batch
