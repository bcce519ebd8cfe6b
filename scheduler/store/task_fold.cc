#include "scheduler/store/task_fold.h"

#include <utility>

namespace fairlead::store {

using fairlead::v1::Task;

TaskFold::TaskFold(const v1::TaskRecord& submitted, const v1::Event& event)
    : record(submitted), want(submitted.want()), last_seq(event.seq()) {
  if (record.start_ms() > event.time_ms()) state = Task::DELAYED;
}

void TaskFold::Apply(const v1::Event& event) {
  // Decisions have no sequence; an event is taken once.
  if (event.seq() <= last_seq) return;
  last_seq = event.seq();
  if (event.has_erased()) return Erase(event.erased());
  if (event.has_gold_retracted()) return SetLabel(event.gold_retracted());
  version = event.version();
  want = event.want();
  if (event.has_annotated()) annotations.push_back(event.annotated());
  if (event.has_prelabelled()) {
    prelabel = event.prelabelled();
    has_prelabel = true;
  }
  if (event.has_reported()) reporters.push_back(event.reported().contractor());
  if (event.has_replayed()) {
    state = Task::READY;
    end_ms = 0;
    end_reason.clear();
    record.set_expire_ms(event.expire_ms());
    reporters.clear();
  }
  if (event.has_completed() || event.has_ended()) {
    state = event.has_completed() ? Task::COMPLETED : event.ended().state();
    end_ms = event.time_ms();
    end_reason = event.ended().reason();
  }
  if (event.has_completed()) SetLabel(event.completed());
  // Whether a delayed task has begun is not in the log; having an answer says so.
  if (!ended() && (state != Task::DELAYED || !annotations.empty())) {
    state = annotations.empty() ? Task::READY : Task::OPEN;
  }
}

void TaskFold::SetLabel(const v1::LabelRecord& given) {
  label = given;
  has_label = true;
}

void TaskFold::Erase(const v1::AnnotationRecord& left) {
  for (v1::AnnotationRecord& annotation : annotations) {
    if (annotation.contractor() == left.contractor()) annotation = left;
  }
}

TaskState TaskFold::ToState() const {
  TaskState result;
  result.record = record;
  result.state = state;
  result.version = version;
  result.want = want;
  result.have = static_cast<int32_t>(annotations.size());
  result.reports = static_cast<int32_t>(reporters.size());
  result.end_reason = end_reason;
  result.has_prelabel = has_prelabel;
  result.prelabel = prelabel;
  result.has_label = has_label;
  result.label = label;
  result.annotations = annotations;
  for (const v1::AnnotationRecord& annotation : annotations) {
    v1::Placement place;
    place.set_contractor(annotation.contractor());
    place.set_assignment(annotation.assignment());
    place.set_token(annotation.token());
    place.set_state(v1::Placement::SUBMITTED);
    place.set_deadline_ms(annotation.accept_ms());
    place.set_offered_ms(annotation.offered_ms());
    result.places.push_back(std::move(place));
  }
  return result;
}

}  // namespace fairlead::store
