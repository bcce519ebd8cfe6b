#include "scheduler/store/task_store.h"

namespace fairlead::store {

using fairlead::v1::Task;

Task::State TaskStateOf(absl::string_view word) {
  Task::State state = Task::STATE_UNSPECIFIED;
  Task::State_Parse(std::string(word), &state);
  return state;
}

v1::Placement::State PlacementStateOf(absl::string_view word) {
  v1::Placement::State state = v1::Placement::STATE_UNSPECIFIED;
  v1::Placement::State_Parse(std::string(word), &state);
  return state;
}

bool AcceptedBefore(const v1::AnnotationRecord& a, const v1::AnnotationRecord& b) {
  if (a.accept_ms() != b.accept_ms()) return a.accept_ms() < b.accept_ms();
  return a.contractor() < b.contractor();
}

int64_t RankOf(const v1::TaskRecord& task) {
  return task.priority() * 10'000'000'000'000LL + task.create_ms();
}

}  // namespace fairlead::store
