#include "scheduler/store/memory_task_store.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "scheduler/store/task_refusals.h"

namespace fairlead::store {
namespace {

using fairlead::v1::Task;
using v1::Placement;

bool IsLive(Placement::State state) {
  return state == Placement::OFFERED || state == Placement::ACCEPTED;
}

// READY and OPEN follow from the counters.
void Settle(TaskState& state) {
  if (state.state != Task::READY && state.state != Task::OPEN) return;
  state.state = state.have + state.open > 0 ? Task::OPEN : Task::READY;
}

void AddTo(ProjectCounts& counts, Task::State state) {
  if (state == Task::READY) ++counts.ready;
  if (state == Task::DELAYED) ++counts.delayed;
  if (state == Task::OPEN) ++counts.open;
  if (state == Task::COMPLETED) ++counts.completed;
  if (state == Task::CANCELLED) ++counts.cancelled;
  if (state == Task::EXPIRED) ++counts.expired;
  if (state == Task::DEAD) ++counts.dead;
}

}  // namespace

uint64_t MemoryTaskStore::Emit(absl::string_view project) {
  return ++seq_[topology().ShardOf(project)];
}

uint64_t MemoryTaskStore::LastSeq(absl::string_view project) {
  return seq_[topology().ShardOf(project)];
}

MemoryTaskStore::Entry* MemoryTaskStore::Find(const TaskRef& ref) {
  auto found = tasks_.find(ref.task);
  const bool here = found != tasks_.end() && found->second.state.record.project() == ref.project;
  return here ? &found->second : nullptr;
}

MemoryTaskStore::Place* MemoryTaskStore::FindPlace(Entry* entry, absl::string_view contractor,
                                                   absl::string_view token) {
  auto found = entry->places.find(std::string(contractor));
  if (found == entry->places.end() || found->second.is.token() != token) return nullptr;
  return &found->second;
}

absl::StatusOr<uint64_t> MemoryTaskStore::PutProject(const v1::ProjectRecord& record,
                                                     int64_t expected_revision) {
  MutexLock lock(&mu_);
  const bool known = projects_.count(record.project()) > 0;
  if (known && expected_revision == 0) return ProjectExists(record.project());
  if (!known && expected_revision > 0) return NoSuchProject(record.project());
  Project& project = projects_[record.project()];
  if (project.revision != expected_revision) return RevisionChanged(record.project());
  ++project.revision;
  project.paused = record.paused();
  project.cap = record.settings().backlog_cap();
  return Emit(record.project());
}

absl::StatusOr<Submitted> MemoryTaskStore::Submit(absl::string_view project_key,
                                                  absl::string_view request_id,
                                                  absl::string_view body_hash,
                                                  const std::vector<v1::TaskRecord>& tasks) {
  MutexLock lock(&mu_);
  auto project = projects_.find(std::string(project_key));
  if (project == projects_.end()) return NoSuchProject(project_key);
  Request& request = requests_[{std::string(project_key), std::string(request_id)}];
  if (!request.tasks.empty()) {
    if (request.body_hash != body_hash) return RequestIdReused(request_id);
    return Submitted{request.tasks, LastSeq(project_key)};
  }
  const ProjectCounts counts = CountLocked(project_key);
  if (counts.ready + counts.delayed + counts.open + static_cast<int64_t>(tasks.size()) >
      project->second.cap) {
    return BacklogFull(project_key, absl::StrCat(project->second.cap));
  }
  for (const v1::TaskRecord& record : tasks) {
    Entry entry;
    entry.state.record = record;
    entry.state.state = record.start_ms() > NowMs() ? Task::DELAYED : Task::READY;
    entry.state.version = 1;
    entry.state.want = record.want();
    tasks_[record.task()] = std::move(entry);
    request.tasks.push_back(record.task());
  }
  request.body_hash = std::string(body_hash);
  project->second.submitted += static_cast<int64_t>(tasks.size());
  return Submitted{request.tasks, Emit(project_key)};
}

int MemoryTaskStore::Entry::accepted() const {
  return static_cast<int>(std::count_if(places.begin(), places.end(), [](const auto& one) {
    return one.second.is.state() == Placement::ACCEPTED;
  }));
}

int MemoryTaskStore::Entry::overdue() const {
  return static_cast<int>(std::count_if(places.begin(), places.end(), [](const auto& one) {
    return one.second.is.state() == Placement::OVERDUE && !one.second.orphaned;
  }));
}

void MemoryTaskStore::TakeFromOverdue(const TaskRef& ref, Entry* entry, int most) {
  while (entry->overdue() > most) {
    Place* oldest = nullptr;
    for (auto& [contractor, place] : entry->places) {
      if (place.is.state() != Placement::OVERDUE || place.orphaned) continue;
      if (oldest == nullptr || place.is.deadline_ms() < oldest->is.deadline_ms()) oldest = &place;
    }
    oldest->is.set_state(Placement::WITHDRAWN);
    oldest->is.set_deadline_ms(0);
    Emit(ref.project);
  }
}

bool MemoryTaskStore::OfferOne(const OfferTerms& terms) {
  Entry* entry = Find(terms.ref);
  if (entry == nullptr || projects_[terms.ref.project].paused) return false;
  if (entry->state.state != Task::READY && entry->state.state != Task::OPEN) return false;
  const TaskState& state = entry->state;
  if (terms.from_overdue && entry->overdue() == 0) return false;
  if (!entry->wants_more() && (state.have + state.open >= state.want + terms.over + terms.spare ||
                               state.have + entry->accepted() >= state.want + terms.spare)) {
    return false;
  }
  auto before = entry->places.find(terms.contractor);
  if (before != entry->places.end() && before->second.is.state() != Placement::LAPSED &&
      before->second.is.state() != Placement::TAKEN) {
    return false;
  }
  Place place;
  place.is.set_contractor(terms.contractor);
  place.is.set_assignment(terms.assignment);
  place.is.set_token(terms.token);
  place.is.set_state(Placement::OFFERED);
  place.is.set_offered_ms(NowMs());
  place.is.set_deadline_ms(NowMs() + absl::ToInt64Milliseconds(terms.offer_window));
  place.is.set_work_ms(absl::ToInt64Milliseconds(terms.work_window));
  entry->places[terms.contractor] = std::move(place);
  ++entry->state.open;
  Settle(entry->state);
  Emit(terms.ref.project);
  TakeFromOverdue(terms.ref, entry,
                  terms.from_overdue ? entry->overdue() - 1 : entry->free_places());
  return true;
}

absl::StatusOr<std::vector<bool>> MemoryTaskStore::Offer(absl::string_view,
                                                         const std::vector<OfferTerms>& terms) {
  MutexLock lock(&mu_);
  std::vector<bool> valid;
  valid.reserve(terms.size());
  for (const OfferTerms& one : terms) valid.push_back(OfferOne(one));
  return valid;
}

absl::StatusOr<Accepted> MemoryTaskStore::Accept(const TaskRef& ref, absl::string_view contractor,
                                                 absl::string_view token) {
  MutexLock lock(&mu_);
  Entry* entry = Find(ref);
  if (entry == nullptr) return NoSuchTask(ref.task);
  Place* place = FindPlace(entry, contractor, token);
  if (place == nullptr) return LeaseLost(ref.task);
  const auto accepted = [&](uint64_t seq) {
    return Accepted{place->is.deadline_ms(), seq, entry->state.record, entry->state.has_prelabel,
                    entry->state.prelabel};
  };
  if (place->is.state() == Placement::ACCEPTED) return accepted(0);
  if (place->is.state() == Placement::SUBMITTED) return AlreadySubmitted();
  if (place->is.state() != Placement::OFFERED || place->is.deadline_ms() < NowMs())
    return LeaseLost(ref.task);
  place->is.set_state(Placement::ACCEPTED);
  place->is.set_accepted_ms(NowMs());
  place->is.set_deadline_ms(NowMs() + place->is.work_ms());
  const TaskState& state = entry->state;
  if (state.have + state.open > state.want && state.have + entry->accepted() >= state.want) {
    TakeTheRest(ref, entry);
  }
  return accepted(Emit(ref.project));
}

void MemoryTaskStore::TakeTheRest(const TaskRef& ref, Entry* entry) {
  for (auto& [contractor, place] : entry->places) {
    if (place.is.state() != Placement::OFFERED) continue;
    place.is.set_state(Placement::TAKEN);
    --entry->state.open;
    Emit(ref.project);
  }
  Settle(entry->state);
}

absl::StatusOr<Extended> MemoryTaskStore::Extend(const TaskRef& ref, absl::string_view contractor,
                                                 absl::string_view token) {
  MutexLock lock(&mu_);
  Entry* entry = Find(ref);
  if (entry == nullptr) return NoSuchTask(ref.task);
  Place* place = FindPlace(entry, contractor, token);
  if (place == nullptr) return LeaseLost(ref.task);
  const Placement::State state = place->is.state();
  if (state == Placement::SUBMITTED || state == Placement::OFFERED) return NotOfThatPlace();
  if (state != Placement::ACCEPTED || place->is.deadline_ms() < NowMs()) return LeaseLost(ref.task);
  const int64_t window = place->is.work_ms();
  const int64_t deadline =
      std::min(NowMs() + window, place->is.accepted_ms() + kMostWindows * window);
  if (deadline <= place->is.deadline_ms()) return Extended{place->is.deadline_ms(), 0};
  place->is.set_deadline_ms(deadline);
  return Extended{deadline, Emit(ref.project)};
}

absl::StatusOr<uint64_t> MemoryTaskStore::Release(const TaskRef& ref, absl::string_view contractor,
                                                  absl::string_view token, Placement::State to,
                                                  absl::string_view) {
  MutexLock lock(&mu_);
  Entry* entry = Find(ref);
  if (entry == nullptr) return NoSuchTask(ref.task);
  if (to == Placement::LAPSED || to == Placement::OVERDUE) {
    auto found = entry->places.find(std::string(contractor));
    if (found == entry->places.end() || !IsLive(found->second.is.state())) return 0;
    Place& due = found->second;
    if (due.is.deadline_ms() > NowMs()) return 0;
    due.is.set_state(due.is.state() == Placement::OFFERED ? Placement::LAPSED : Placement::OVERDUE);
  } else {
    Place* place = FindPlace(entry, contractor, token);
    if (place == nullptr) return LeaseLost(ref.task);
    if (place->is.state() == to) return 0;
    if (place->is.state() == Placement::SUBMITTED) return NotOfThatPlace();
    if (!IsLive(place->is.state())) return LeaseLost(ref.task);
    if ((to == Placement::DECLINED) != (place->is.state() == Placement::OFFERED))
      return NotOfThatPlace();
    place->is.set_state(to);
  }
  --entry->state.open;
  if (to == Placement::REPORTED) {
    ++entry->state.version;
    ++entry->state.reports;
  }
  Settle(entry->state);
  if (to == Placement::REPORTED) Emit(ref.project);
  Emit(ref.project);
  TakeFromOverdue(ref, entry, entry->free_places());
  return LastSeq(ref.project);
}

absl::StatusOr<Annotated> MemoryTaskStore::Annotate(const TaskRef& ref,
                                                    absl::string_view contractor,
                                                    absl::string_view token,
                                                    const v1::AnnotationRecord& record) {
  MutexLock lock(&mu_);
  Entry* entry = Find(ref);
  if (entry == nullptr) return NoSuchTask(ref.task);
  Place* place = FindPlace(entry, contractor, token);
  if (place == nullptr) return LeaseLost(ref.task);
  if (place->annotation.has_value()) return Annotated{*place->annotation, LastSeq(ref.project)};
  if (place->is.state() == Placement::OFFERED) return NotAccepted();
  const bool in_window = place->is.accepted_ms() > 0 && place->is.deadline_ms() >= NowMs();
  if (place->surplus_ms > 0 ||
      (place->is.state() == Placement::WITHDRAWN && !place->orphaned && in_window)) {
    return Surplus(ref, entry, place, record);
  }
  const bool overdue = place->is.state() == Placement::OVERDUE && !place->orphaned;
  const bool accepted = place->is.state() == Placement::ACCEPTED;
  if (entry->ended() || !(accepted || (overdue && entry->wants_more()))) {
    const bool lost = overdue || place->is.state() == Placement::WITHDRAWN;
    if (lost && !place->orphaned) {
      place->orphaned = true;
      const uint64_t seq = Emit(ref.project);
      if (entry->ended()) entry->last_seq = seq;
    }
    return LeaseLost(ref.task);
  }
  if (accepted) --entry->state.open;
  place->annotation = record;
  place->annotation->set_late(overdue || place->is.deadline_ms() < NowMs());
  place->annotation->set_accept_ms(NowMs());
  place->annotation->set_offered_ms(place->is.offered_ms());
  place->annotation->set_accepted_ms(place->is.accepted_ms());
  place->is.set_state(Placement::SUBMITTED);
  place->is.set_deadline_ms(NowMs());
  ++entry->state.have;
  ++entry->state.version;
  Settle(entry->state);
  ++projects_[ref.project].annotations;
  return Annotated{*place->annotation, Emit(ref.project)};
}

Annotated MemoryTaskStore::Surplus(const TaskRef& ref, Entry* entry, Place* place,
                                   v1::AnnotationRecord record) {
  uint64_t seq = LastSeq(ref.project);
  if (place->surplus_ms == 0) {
    place->surplus_ms = NowMs();
    place->is.set_deadline_ms(NowMs());
    seq = Emit(ref.project);
    if (entry->ended()) entry->last_seq = seq;
  }
  record.set_surplus(true);
  record.set_accept_ms(place->surplus_ms);
  record.set_offered_ms(place->is.offered_ms());
  record.set_accepted_ms(place->is.accepted_ms());
  return {std::move(record), seq};
}

uint64_t MemoryTaskStore::Finish(const TaskRef& ref, Entry* entry, Task::State state) {
  for (auto& [contractor, place] : entry->places) {
    if (IsLive(place.is.state())) place.is.set_state(Placement::WITHDRAWN);
  }
  entry->state.state = state;
  entry->state.open = 0;
  ++entry->state.version;
  entry->end_ms = NowMs();
  return entry->last_seq = Emit(ref.project);
}

absl::StatusOr<bool> MemoryTaskStore::Complete(const TaskRef& ref, int64_t version,
                                               const v1::LabelRecord& label) {
  MutexLock lock(&mu_);
  Entry* entry = Find(ref);
  if (entry == nullptr) return NoSuchTask(ref.task);
  if (entry->ended() || entry->state.version != version) return false;
  entry->state.label = label;
  entry->state.has_label = true;
  Finish(ref, entry, Task::COMPLETED);
  return true;
}

absl::StatusOr<bool> MemoryTaskStore::SetWant(const TaskRef& ref, int64_t version, int32_t want) {
  MutexLock lock(&mu_);
  Entry* entry = Find(ref);
  if (entry == nullptr) return NoSuchTask(ref.task);
  if (entry->ended() || entry->state.version != version) return false;
  if (entry->state.want == want) return true;
  entry->state.want = want;
  ++entry->state.version;
  Emit(ref.project);
  TakeFromOverdue(ref, entry, entry->free_places());
  return true;
}

absl::StatusOr<uint64_t> MemoryTaskStore::End(const TaskRef& ref, Task::State state,
                                              absl::string_view reason) {
  MutexLock lock(&mu_);
  Entry* entry = Find(ref);
  if (entry == nullptr) return NoSuchTask(ref.task);
  if (entry->ended()) {
    if (entry->state.state == state) return 0;
    return HasEnded(ref.task, Task::State_Name(entry->state.state));
  }
  if (state == Task::EXPIRED && entry->state.record.expire_ms() > NowMs()) return 0;
  entry->state.end_reason = std::string(reason);
  return Finish(ref, entry, state);
}

absl::Status MemoryTaskStore::Prelabel(const TaskRef& ref, const v1::PrelabelRecord& record) {
  MutexLock lock(&mu_);
  Entry* entry = Find(ref);
  if (entry == nullptr) return NoSuchTask(ref.task);
  if (entry->ended()) return absl::OkStatus();
  entry->state.prelabel = record;
  entry->state.has_prelabel = true;
  ++entry->state.version;
  Emit(ref.project);
  return absl::OkStatus();
}

absl::Status MemoryTaskStore::Start(const TaskRef& ref) {
  MutexLock lock(&mu_);
  Entry* entry = Find(ref);
  if (entry == nullptr) return NoSuchTask(ref.task);
  if (entry->state.state != Task::DELAYED || entry->state.record.start_ms() > NowMs())
    return absl::OkStatus();
  entry->state.state = Task::READY;
  ++entry->state.version;
  Emit(ref.project);
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> MemoryTaskStore::Replay(const TaskRef& ref, absl::Time expire) {
  MutexLock lock(&mu_);
  Entry* entry = Find(ref);
  if (entry == nullptr) return NoSuchTask(ref.task);
  if (entry->state.state != Task::DEAD)
    return NotDead(ref.task, Task::State_Name(entry->state.state));
  if (entry->state.has_label) return IsRetracted(ref.task);
  entry->state.reports = 0;
  entry->state.end_reason.clear();
  entry->state.record.set_expire_ms(absl::ToUnixMillis(expire));
  entry->state.want = std::max(entry->state.want, entry->state.have + 1);
  entry->state.state = Task::READY;
  ++entry->state.version;
  entry->end_ms = 0;
  Settle(entry->state);
  return Emit(ref.project);
}

absl::StatusOr<uint64_t> MemoryTaskStore::Erase(const TaskRef& ref,
                                                const v1::AnnotationRecord& left) {
  MutexLock lock(&mu_);
  Entry* entry = Find(ref);
  if (entry == nullptr) {
    if (tasks_.find(ref.task) != tasks_.end()) return NoSuchTask(ref.task);
    return Emit(ref.project);
  }
  if (!entry->ended()) return NotEnded(ref.task, Task::State_Name(entry->state.state));
  const auto place = entry->places.find(left.contractor());
  if (place == entry->places.end() || !place->second.annotation.has_value()) {
    return NoSuchAnnotation(ref.task, left.contractor());
  }
  place->second.annotation = left;
  return entry->last_seq = Emit(ref.project);
}

absl::StatusOr<uint64_t> MemoryTaskStore::Retract(const TaskRef& ref,
                                                  const v1::LabelRecord& label) {
  MutexLock lock(&mu_);
  Entry* entry = Find(ref);
  if (entry == nullptr) {
    if (tasks_.find(ref.task) != tasks_.end()) return NoSuchTask(ref.task);
    return Emit(ref.project);
  }
  if (!entry->ended()) return NotEnded(ref.task, Task::State_Name(entry->state.state));
  entry->state.label = label;
  entry->state.has_label = true;
  return entry->last_seq = Emit(ref.project);
}

absl::StatusOr<bool> MemoryTaskStore::Archive(const TaskRef& ref, const ArchiveTerms& terms) {
  MutexLock lock(&mu_);
  Entry* entry = Find(ref);
  if (entry == nullptr || !entry->ended()) return false;
  if ((entry->state.state == Task::DEAD) != terms.dead) return false;
  if (entry->end_ms > terms.ended_by_ms || entry->last_seq > terms.logged_seq) return false;
  AddTo(projects_[entry->state.record.project()].archived, entry->state.state);
  tasks_.erase(ref.task);
  return true;
}

absl::StatusOr<TaskState> MemoryTaskStore::Load(const TaskRef& ref) const {
  MutexLock lock(&mu_);
  auto found = tasks_.find(ref.task);
  if (found == tasks_.end() || found->second.state.record.project() != ref.project)
    return NoSuchTask(ref.task);
  TaskState state = found->second.state;
  for (const auto& [contractor, place] : found->second.places) {
    state.places.push_back(place.is);
    if (place.orphaned || place.surplus_ms > 0)
      state.places.back().set_state(Placement::STATE_UNSPECIFIED);
    if (place.annotation.has_value()) state.annotations.push_back(*place.annotation);
  }
  std::sort(state.annotations.begin(), state.annotations.end(), AcceptedBefore);
  return state;
}

ProjectCounts MemoryTaskStore::CountLocked(absl::string_view key) const {
  auto project = projects_.find(std::string(key));
  if (project == projects_.end()) return {};
  ProjectCounts counts = project->second.archived;
  for (const auto& [id, entry] : tasks_) {
    if (entry.state.record.project() == key) AddTo(counts, entry.state.state);
  }
  counts.submitted = project->second.submitted;
  counts.annotations = project->second.annotations;
  return counts;
}

absl::StatusOr<ProjectCounts> MemoryTaskStore::Counts(absl::string_view project) const {
  MutexLock lock(&mu_);
  return CountLocked(project);
}

}  // namespace fairlead::store
