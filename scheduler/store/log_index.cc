#include "scheduler/store/log_index.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "scheduler/store/task_refusals.h"

namespace fairlead::store {

void LogIndex::ApplySubmit(const v1::Event& event, int64_t position) {
  projects_[event.project()].submits.push_back(position);
  for (const v1::TaskRecord& record : event.tasks_submitted().tasks()) {
    Task& task = tasks_[record.task()];
    task.submit = position;
    task.gold = record.has_gold();
  }
}

void LogIndex::Apply(const v1::Event& event, int64_t position) {
  if (position < 0) return;
  MutexLock lock(&mu_);
  if (!event.slot().empty()) {
    uint64_t& last = last_seq_[event.slot()];
    last = std::max(last, event.seq());
  }
  if (event.has_tasks_submitted()) return ApplySubmit(event, position);
  if (event.has_decision()) {
    decisions_[event.decision().assignment()] = position;
    tasks_[event.key()].events.push_back(position);
    return;
  }
  if (event.key().empty() || event.project().empty()) return;
  Task& task = tasks_[event.key()];
  task.events.push_back(position);
  if (event.has_erased() || event.has_gold_retracted()) task.barred = true;
  if (const v1::AnnotationRecord* work = PaidWork(event); work != nullptr) {
    last_pay_seq_[event.slot()] = event.seq();
    contractors_[work->contractor()].push_back(position);
  }
  if (event.has_completed() || event.has_ended()) {
    Project& project = projects_[event.project()];
    project.ends.push_back(position);
    if (event.has_completed()) {
      task.complete = position;
      // What a model decided alone is nothing to learn from.
      if (!task.gold && event.completed().answers() > 0) {
        project.label_ms.push_back(event.time_ms());
      }
    }
    ended_.NotifyAll();
  }
}

uint64_t LogIndex::LastSeq(absl::string_view slot) const {
  MutexLock lock(&mu_);
  auto found = last_seq_.find(slot);
  return found == last_seq_.end() ? 0 : found->second;
}

uint64_t LogIndex::LastPaySeq(absl::string_view slot) const {
  MutexLock lock(&mu_);
  auto found = last_pay_seq_.find(slot);
  return found == last_pay_seq_.end() ? 0 : found->second;
}

absl::StatusOr<v1::Event> LogIndex::ReadEvent(int64_t position) const {
  ASSIGN_OR_RETURN(std::string record, log_->ReadAt(position));
  v1::Event event;
  if (!event.ParseFromString(record)) {
    return absl::DataLossError(absl::StrCat("record at ", position, " is no event"));
  }
  return event;
}

absl::StatusOr<std::vector<std::pair<int64_t, v1::Event>>> LogIndex::Ends(absl::string_view project,
                                                                          int64_t after,
                                                                          size_t limit) const {
  std::vector<int64_t> positions;
  {
    MutexLock lock(&mu_);
    auto found = projects_.find(project);
    if (found != projects_.end()) {
      const std::vector<int64_t>& ends = found->second.ends;
      auto it = std::upper_bound(ends.begin(), ends.end(), after);
      for (; it != ends.end() && positions.size() < limit; ++it) positions.push_back(*it);
    }
  }
  std::vector<std::pair<int64_t, v1::Event>> events;
  for (int64_t position : positions) {
    ASSIGN_OR_RETURN(v1::Event event, ReadEvent(position));
    events.emplace_back(position, std::move(event));
  }
  return events;
}

bool LogIndex::AwaitEnd(absl::string_view project, int64_t after, absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  MutexLock lock(&mu_);
  while (true) {
    auto found = projects_.find(project);
    if (found != projects_.end() && !found->second.ends.empty() &&
        found->second.ends.back() > after) {
      return true;
    }
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return false;
    ended_.WaitFor(&mu_, absl::ToChronoMilliseconds(left));
  }
}

absl::StatusOr<std::vector<v1::Event>> LogIndex::History(absl::string_view task,
                                                         size_t limit) const {
  std::vector<int64_t> positions;
  {
    MutexLock lock(&mu_);
    auto found = tasks_.find(task);
    if (found != tasks_.end()) positions = found->second.events;
  }
  if (positions.size() > limit) positions.resize(limit);
  std::vector<v1::Event> events;
  for (int64_t position : positions) {
    ASSIGN_OR_RETURN(v1::Event event, ReadEvent(position));
    events.push_back(std::move(event));
  }
  return events;
}

absl::StatusOr<v1::Event> LogIndex::SubmissionEvent(absl::string_view task) const {
  int64_t position = -1;
  {
    MutexLock lock(&mu_);
    auto found = tasks_.find(task);
    if (found != tasks_.end()) position = found->second.submit;
  }
  if (position < 0) return NoSuchTask(task);
  return ReadEvent(position);
}

absl::StatusOr<v1::TaskRecord> LogIndex::Submission(absl::string_view task) const {
  ASSIGN_OR_RETURN(v1::Event event, SubmissionEvent(task));
  for (v1::TaskRecord& record : *event.mutable_tasks_submitted()->mutable_tasks()) {
    if (record.task() == task) return std::move(record);
  }
  return NoSuchTask(task);
}

absl::StatusOr<fairlead::v1::Decision> LogIndex::DecisionOf(absl::string_view assignment) const {
  int64_t position = -1;
  {
    MutexLock lock(&mu_);
    auto found = decisions_.find(assignment);
    if (found != decisions_.end()) position = found->second;
  }
  if (position < 0) {
    return Error(absl::StatusCode::kNotFound, "DECISION_NOT_FOUND",
                 absl::StrCat("no decision about assignment ", assignment));
  }
  ASSIGN_OR_RETURN(v1::Event event, ReadEvent(position));
  return event.decision();
}

absl::StatusOr<std::vector<v1::AnnotationRecord>> LogIndex::Annotations(
    absl::string_view contractor, size_t skip, size_t limit) const {
  std::vector<int64_t> positions;
  {
    MutexLock lock(&mu_);
    auto found = contractors_.find(contractor);
    if (found != contractors_.end()) {
      const std::vector<int64_t>& all = found->second;
      for (size_t i = skip; i < all.size() && positions.size() < limit; ++i) {
        positions.push_back(all[all.size() - 1 - i]);
      }
    }
  }
  std::vector<v1::AnnotationRecord> records;
  for (int64_t position : positions) {
    ASSIGN_OR_RETURN(v1::Event event, ReadEvent(position));
    const v1::AnnotationRecord* work = PaidWork(event);
    if (work == nullptr) return absl::DataLossError(absl::StrCat("no work at ", position));
    records.push_back(*work);
  }
  return records;
}

size_t LogIndex::AnnotationCount(absl::string_view contractor) const {
  MutexLock lock(&mu_);
  auto found = contractors_.find(contractor);
  return found == contractors_.end() ? 0 : found->second.size();
}

int64_t LogIndex::LabelCount(absl::string_view project) const {
  MutexLock lock(&mu_);
  auto found = projects_.find(project);
  return found == projects_.end() ? 0 : static_cast<int64_t>(found->second.label_ms.size());
}

int64_t LogIndex::OldestLabelAfter(absl::string_view project, int64_t count) const {
  MutexLock lock(&mu_);
  auto found = projects_.find(project);
  if (found == projects_.end() || count < 0 ||
      count >= static_cast<int64_t>(found->second.label_ms.size())) {
    return INT64_MAX;
  }
  return found->second.label_ms[static_cast<size_t>(count)];
}

absl::Status LogIndex::VisitLabelled(
    absl::string_view project,
    const std::function<void(const v1::TaskRecord&, const v1::LabelRecord&)>& visit) const {
  std::vector<int64_t> submits;
  {
    MutexLock lock(&mu_);
    auto found = projects_.find(project);
    if (found != projects_.end()) submits = found->second.submits;
  }
  for (int64_t submit : submits) {
    ASSIGN_OR_RETURN(v1::Event event, ReadEvent(submit));
    for (const v1::TaskRecord& record : event.tasks_submitted().tasks()) {
      int64_t complete = -1;
      {
        MutexLock lock(&mu_);
        auto found = tasks_.find(record.task());
        if (found != tasks_.end()) complete = found->second.complete;
      }
      if (complete < 0) continue;
      ASSIGN_OR_RETURN(v1::Event completed, ReadEvent(complete));
      visit(record, completed.completed());
    }
  }
  return absl::OkStatus();
}

bool LogIndex::BarredFromLearning(absl::string_view task) const {
  MutexLock lock(&mu_);
  const auto found = tasks_.find(task);
  return found != tasks_.end() && found->second.barred;
}

absl::Status ReplayLog(RecordLog& log, const std::vector<EventSink*>& sinks) {
  return log.Read(0, [&](int64_t position, absl::string_view record) -> absl::Status {
    v1::Event event;
    if (!event.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
      return absl::DataLossError(absl::StrCat("record at ", position, " is no event"));
    }
    for (EventSink* sink : sinks) sink->Apply(event, position);
    return absl::OkStatus();
  });
}

}  // namespace fairlead::store
