#include "scheduler/dispatch/live_task.h"

#include <algorithm>

namespace fairlead::dispatch {

using store::v1::Placement;

int32_t LiveTask::overdue() const {
  const auto count = std::count_if(places.begin(), places.end(), [](const auto& place) {
    return place.second.state() == Placement::OVERDUE;
  });
  return std::min(static_cast<int32_t>(count), std::max(0, want - have - open));
}

LiveTask LiveTaskOf(const store::v1::TaskRecord& record) {
  LiveTask task;
  task.project = record.project();
  task.priority = record.priority();
  task.create_ms = record.create_ms();
  task.expire_ms = record.expire_ms();
  task.gold = record.has_gold();
  task.check = !record.checks().empty();
  task.want = record.want();
  return task;
}

LiveTask LiveTaskOf(const store::TaskState& state) {
  LiveTask task = LiveTaskOf(state.record);
  task.delayed = state.state == fairlead::v1::Task::DELAYED;
  task.want = state.want;
  task.have = state.have;
  task.open = state.open;
  if (state.has_prelabel) {
    task.prelabel_version = state.prelabel.model_version();
    task.prelabel_confidence = state.prelabel.confidence();
  }
  for (const Placement& place : state.places) task.places[place.contractor()] = place;
  for (const store::v1::AnnotationRecord& answered : state.annotations) {
    task.turns.Add(answered.answer());
  }
  return task;
}

}  // namespace fairlead::dispatch
