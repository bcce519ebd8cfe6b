#include "scheduler/quality/spend_book.h"

namespace fairlead::quality {

void SpendBook::Apply(const store::v1::Event& event, int64_t) {
  const store::v1::AnnotationRecord* work = store::PaidWork(event);
  if (work == nullptr && !event.has_completed()) return;
  MutexLock lock(&mu_);
  Progress& project = projects_[event.project()];
  if (work != nullptr) {
    project.paid_micros += work->pay().micros();
  } else {
    ++project.completed;
    project.completed_answers += event.completed().answers();
  }
}

Progress SpendBook::Of(absl::string_view project) const {
  MutexLock lock(&mu_);
  const auto found = projects_.find(project);
  return found == projects_.end() ? Progress() : found->second;
}

}  // namespace fairlead::quality
