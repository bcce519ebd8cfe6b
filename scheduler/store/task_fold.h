// One task as its events in the record log leave it: for a rebuild, and for reads of tasks that
// have left Redis. Pure.
#pragma once

#include <string>
#include <vector>

#include "fairlead/store/v1/records.pb.h"
#include "scheduler/store/task_store.h"

namespace fairlead::store {

struct TaskFold {
  v1::TaskRecord record;
  fairlead::v1::Task::State state = fairlead::v1::Task::READY;
  int64_t version = 1;
  int32_t want = 0;
  int64_t end_ms = 0;     // 0: it has not ended.
  uint64_t last_seq = 0;  // Of the last event about it.
  std::string end_reason;
  bool has_label = false, has_prelabel = false;
  v1::LabelRecord label;
  v1::PrelabelRecord prelabel;
  std::vector<v1::AnnotationRecord> annotations;  // In order of acceptance.
  std::vector<std::string> reporters;

  // Begins with the submission of `record`, one of `event`'s.
  TaskFold(const v1::TaskRecord& record, const v1::Event& event);
  // Takes the next event about the task; one that it has taken, or a decision, changes nothing.
  void Apply(const v1::Event& event);

  bool ended() const { return end_ms > 0; }
  // Offers and leases are not in the log: live places are gone, the others are as they were.
  TaskState ToState() const;

 private:
  void SetLabel(const v1::LabelRecord& given);
  void Erase(const v1::AnnotationRecord& left);
};

}  // namespace fairlead::store
