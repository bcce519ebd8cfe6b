#include "scheduler/store/redis_task_store.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/redis/keys.h"
#include "scheduler/store/task_refusals.h"

namespace fairlead::store {
namespace {

using fairlead::v1::Task;

absl::Status Unexpected(absl::string_view function, const Outcome& outcome) {
  return absl::InternalError(absl::StrCat(function, ": unexpected code ", outcome.code));
}

int64_t NumberOf(const std::string& text) {
  int64_t number = 0;
  return absl::SimpleAtoi(text, &number) ? number : 0;
}

}  // namespace

absl::StatusOr<uint64_t> RedisTaskStore::PutProject(const v1::ProjectRecord& record,
                                                    int64_t expected_revision) {
  const std::string slot = topology().ShardOf(record.project());
  ASSIGN_OR_RETURN(
      Outcome outcome,
      caller_->Invoke(
          slot, {"fl_task_project_put",
                 {redis::ProjectsKey(slot), redis::ProjectKey(slot, record.project())},
                 {record.project(), absl::StrCat(expected_revision), record.SerializeAsString(),
                  record.paused() ? "1" : "0", absl::StrCat(record.settings().backlog_cap())}}));
  if (outcome.ok()) return outcome.seq;
  if (outcome.code == "EXISTS") {
    return ProjectExists(record.project());
  }
  if (outcome.code == "REVISION") {
    return RevisionChanged(record.project());
  }
  if (outcome.code == "NOT_FOUND") {
    return NoSuchProject(record.project());
  }
  return Unexpected("project_put", outcome);
}

absl::StatusOr<Submitted> RedisTaskStore::Submit(absl::string_view project,
                                                 absl::string_view request_id,
                                                 absl::string_view body_hash,
                                                 const std::vector<v1::TaskRecord>& tasks) {
  const std::string slot = topology().ShardOf(project);
  Invocation call{"fl_task_submit",
                  {redis::ProjectKey(slot, project), redis::ReadyKey(slot, project),
                   redis::RequestKey(slot, project, request_id), redis::LiveKey(slot),
                   redis::ExpiriesKey(slot), redis::DelayedKey(slot)},
                  {std::string(project), std::string(request_id), std::string(body_hash)}};
  for (const v1::TaskRecord& task : tasks) {
    call.keys.push_back(redis::TaskKey(slot, task.task()));
    call.arguments.insert(
        call.arguments.end(),
        {task.task(), task.SerializeAsString(), absl::StrCat(RankOf(task)),
         absl::StrCat(task.expire_ms()), absl::StrCat(task.want()), absl::StrCat(task.start_ms())});
  }
  absl::StatusOr<Outcome> outcome = caller_->Invoke(slot, call);
  if (!outcome.ok()) {
    if (ReasonOf(outcome.status()) == "STORE_FULL") {
      return Error(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
                   "the queues are full: new tasks are refused until work has drained");
    }
    return outcome.status();
  }
  if (outcome->ok() || outcome->code == "DUP") {
    Submitted submitted;
    submitted.tasks = absl::StrSplit(outcome->Text(0), ',');
    submitted.seq = outcome->seq;
    return submitted;
  }
  if (outcome->code == "REUSED") {
    return RequestIdReused(request_id);
  }
  if (outcome->code == "FULL") {
    return BacklogFull(project, outcome->Text(0));
  }
  if (outcome->code == "NOT_FOUND") {
    return NoSuchProject(project);
  }
  return Unexpected("submit", *outcome);
}

Invocation RedisTaskStore::TaskInvocation(absl::string_view function, const TaskRef& ref,
                                          redis::Arguments arguments) const {
  const std::string s = topology().ShardOf(ref.project);
  Invocation call;
  call.function = absl::StrCat("fl_task_", function);
  call.keys = {redis::ProjectKey(s, ref.project),
               redis::TaskKey(s, ref.task),
               redis::PlacesKey(s, ref.task),
               redis::ReadyKey(s, ref.project),
               redis::DeadlinesKey(s),
               redis::DirtyKey(s),
               redis::LiveKey(s),
               redis::ExpiriesKey(s),
               redis::EndedKey(s),
               redis::DeadKey(s),
               redis::DelayedKey(s)};
  call.arguments = {ref.task, ref.project};
  call.arguments.insert(call.arguments.end(), arguments.begin(), arguments.end());
  return call;
}

absl::StatusOr<Outcome> RedisTaskStore::InvokeTask(absl::string_view function, const TaskRef& ref,
                                                   redis::Arguments arguments) const {
  ASSIGN_OR_RETURN(Outcome outcome,
                   caller_->Invoke(topology().ShardOf(ref.project),
                                   TaskInvocation(function, ref, std::move(arguments))));
  if (outcome.code == "NOT_FOUND") return NoSuchTask(ref.task);
  return outcome;
}

absl::StatusOr<std::vector<bool>> RedisTaskStore::Offer(absl::string_view slot,
                                                        const std::vector<OfferTerms>& terms) {
  std::vector<Invocation> calls;
  calls.reserve(terms.size());
  for (const OfferTerms& offer : terms) {
    calls.push_back(TaskInvocation(
        "offer", offer.ref,
        {offer.contractor, offer.assignment, offer.token,
         absl::StrCat(absl::ToInt64Milliseconds(offer.offer_window)),
         absl::StrCat(absl::ToInt64Milliseconds(offer.work_window)), absl::StrCat(offer.over),
         absl::StrCat(offer.spare), offer.from_overdue ? "1" : "0"}));
  }
  ASSIGN_OR_RETURN(std::vector<Outcome> outcomes, caller_->InvokeAll(slot, calls));
  std::vector<bool> valid;
  valid.reserve(outcomes.size());
  for (const Outcome& outcome : outcomes) valid.push_back(outcome.ok());
  return valid;
}

absl::StatusOr<Accepted> RedisTaskStore::Accept(const TaskRef& ref, absl::string_view contractor,
                                                absl::string_view token) {
  ASSIGN_OR_RETURN(Outcome outcome,
                   InvokeTask("accept", ref, {std::string(contractor), std::string(token)}));
  if (outcome.ok()) {
    Accepted accepted;
    accepted.deadline_ms = outcome.Int(0);
    accepted.seq = outcome.seq;
    if (!accepted.record.ParseFromString(outcome.Text(1))) {
      return absl::DataLossError(absl::StrCat("the record of task ", ref.task, " is damaged"));
    }
    const std::string prelabel = outcome.Text(2);
    accepted.has_prelabel = !prelabel.empty() && accepted.prelabel.ParseFromString(prelabel);
    return accepted;
  }
  if (outcome.code == "LEASE_LOST") return LeaseLost(ref.task);
  if (outcome.code == "STATE") {
    return AlreadySubmitted();
  }
  return Unexpected("accept", outcome);
}

absl::StatusOr<Extended> RedisTaskStore::Extend(const TaskRef& ref, absl::string_view contractor,
                                                absl::string_view token) {
  ASSIGN_OR_RETURN(Outcome outcome,
                   InvokeTask("extend", ref, {std::string(contractor), std::string(token)}));
  if (outcome.ok()) return Extended{outcome.Int(0), outcome.seq};
  if (outcome.code == "LEASE_LOST") return LeaseLost(ref.task);
  if (outcome.code == "STATE") return NotOfThatPlace();
  return Unexpected("extend", outcome);
}

absl::StatusOr<uint64_t> RedisTaskStore::Release(const TaskRef& ref, absl::string_view contractor,
                                                 absl::string_view token, v1::Placement::State to,
                                                 absl::string_view reason) {
  const bool due = to == v1::Placement::LAPSED || to == v1::Placement::OVERDUE;
  ASSIGN_OR_RETURN(Outcome outcome,
                   InvokeTask("release", ref,
                              {std::string(contractor), std::string(token),
                               due ? "DUE" : v1::Placement::State_Name(to), std::string(reason)}));
  if (outcome.ok() || due) return outcome.seq;
  if (outcome.code == "LEASE_LOST") return LeaseLost(ref.task);
  if (outcome.code == "STATE") {
    return NotOfThatPlace();
  }
  return Unexpected("release", outcome);
}

absl::StatusOr<Annotated> RedisTaskStore::Annotate(const TaskRef& ref, absl::string_view contractor,
                                                   absl::string_view token,
                                                   const v1::AnnotationRecord& record) {
  ASSIGN_OR_RETURN(Outcome outcome, InvokeTask("annotate", ref,
                                               {std::string(contractor), std::string(token),
                                                record.SerializeAsString()}));
  if (outcome.ok() || outcome.code == "DUP" || outcome.code == "SURPLUS") {
    Annotated annotated;
    annotated.seq = outcome.seq;
    if (!annotated.record.ParseFromString(outcome.Text(0))) {
      return absl::DataLossError(
          absl::StrCat("stored annotation of task ", ref.task, " is damaged"));
    }
    annotated.record.set_accept_ms(outcome.Int(1));
    annotated.record.set_late(outcome.Int(2) != 0);
    annotated.record.set_offered_ms(outcome.Int(3));
    annotated.record.set_accepted_ms(outcome.Int(4));
    annotated.record.set_surplus(outcome.code == "SURPLUS");
    return annotated;
  }
  if (outcome.code == "LEASE_LOST") return LeaseLost(ref.task);
  if (outcome.code == "STATE") {
    return NotAccepted();
  }
  return Unexpected("annotate", outcome);
}

absl::StatusOr<bool> RedisTaskStore::Complete(const TaskRef& ref, int64_t version,
                                              const v1::LabelRecord& label) {
  ASSIGN_OR_RETURN(Outcome outcome,
                   InvokeTask("complete", ref, {absl::StrCat(version), label.SerializeAsString()}));
  return outcome.ok();
}

absl::StatusOr<bool> RedisTaskStore::SetWant(const TaskRef& ref, int64_t version, int32_t want) {
  ASSIGN_OR_RETURN(Outcome outcome,
                   InvokeTask("set_want", ref, {absl::StrCat(version), absl::StrCat(want)}));
  return outcome.ok();
}

absl::StatusOr<uint64_t> RedisTaskStore::End(const TaskRef& ref, Task::State state,
                                             absl::string_view reason) {
  ASSIGN_OR_RETURN(Outcome outcome,
                   InvokeTask("finish", ref, {Task::State_Name(state), std::string(reason)}));
  if (outcome.ok()) return outcome.seq;
  if (outcome.code == "NOT_DUE") return 0;
  if (outcome.code == "TERMINAL") {
    if (outcome.Text(0) == Task::State_Name(state)) return 0;
    return HasEnded(ref.task, outcome.Text(0));
  }
  return Unexpected("finish", outcome);
}

absl::Status RedisTaskStore::Prelabel(const TaskRef& ref, const v1::PrelabelRecord& record) {
  return InvokeTask("prelabel", ref, {record.SerializeAsString()}).status();
}

absl::Status RedisTaskStore::Start(const TaskRef& ref) {
  return InvokeTask("start", ref, {}).status();
}

absl::StatusOr<uint64_t> RedisTaskStore::Replay(const TaskRef& ref, absl::Time expire) {
  ASSIGN_OR_RETURN(Outcome outcome,
                   InvokeTask("replay", ref, {absl::StrCat(absl::ToUnixMillis(expire))}));
  if (outcome.ok()) return outcome.seq;
  if (outcome.code == "STATE") {
    return NotDead(ref.task, outcome.Text(0));
  }
  if (outcome.code == "RETRACTED") return IsRetracted(ref.task);
  return Unexpected("replay", outcome);
}

absl::StatusOr<uint64_t> RedisTaskStore::Erase(const TaskRef& ref,
                                               const v1::AnnotationRecord& left) {
  ASSIGN_OR_RETURN(Outcome outcome,
                   InvokeTask("erase", ref, {left.contractor(), left.SerializeAsString()}));
  if (outcome.ok()) return outcome.seq;
  if (outcome.code == "STATE") return NotEnded(ref.task, outcome.Text(0));
  if (outcome.code == "NO_ANSWER") return NoSuchAnnotation(ref.task, left.contractor());
  return Unexpected("erase", outcome);
}

absl::StatusOr<uint64_t> RedisTaskStore::Retract(const TaskRef& ref, const v1::LabelRecord& label) {
  ASSIGN_OR_RETURN(Outcome outcome, InvokeTask("retract", ref, {label.SerializeAsString()}));
  if (outcome.ok()) return outcome.seq;
  if (outcome.code == "STATE") return NotEnded(ref.task, outcome.Text(0));
  return Unexpected("retract", outcome);
}

absl::StatusOr<bool> RedisTaskStore::Archive(const TaskRef& ref, const ArchiveTerms& terms) {
  absl::StatusOr<Outcome> outcome =
      InvokeTask("archive", ref,
                 {terms.dead ? "dead" : "ended", absl::StrCat(terms.ended_by_ms),
                  absl::StrCat(terms.logged_seq)});
  if (absl::IsNotFound(outcome.status())) return false;
  RETURN_IF_ERROR(outcome.status());
  return outcome->ok();
}

absl::StatusOr<TaskState> RedisTaskStore::Load(const TaskRef& ref) const {
  const std::string slot = topology().ShardOf(ref.project);
  ASSIGN_OR_RETURN(std::vector<redis::Reply> replies,
                   caller_->pool().Pipeline({{"HGETALL", redis::TaskKey(slot, ref.task)},
                                             {"HGETALL", redis::PlacesKey(slot, ref.task)}}));
  TaskState state;
  if (!ParseTask(replies[0], state) || state.record.project() != ref.project)
    return NoSuchTask(ref.task);
  ParsePlaces(replies[1], state);
  return state;
}

absl::StatusOr<std::vector<TaskState>> RedisTaskStore::LoadAll(
    absl::string_view slot, const std::vector<std::string>& tasks) const {
  std::vector<redis::Arguments> reads;
  reads.reserve(2 * tasks.size());
  for (const std::string& task : tasks) {
    reads.push_back({"HGETALL", redis::TaskKey(slot, task)});
    reads.push_back({"HGETALL", redis::PlacesKey(slot, task)});
  }
  ASSIGN_OR_RETURN(const std::vector<redis::Reply> replies, caller_->pool().Pipeline(reads));
  std::vector<TaskState> states;
  states.reserve(tasks.size());
  for (size_t i = 0; i + 1 < replies.size(); i += 2) {
    TaskState state;
    if (!ParseTask(replies[i], state)) continue;
    ParsePlaces(replies[i + 1], state);
    states.push_back(std::move(state));
  }
  return states;
}

absl::StatusOr<std::vector<absl::Status>> RedisTaskStore::Conclude(
    absl::string_view slot, const std::vector<Conclusion>& conclusions) {
  std::vector<Invocation> calls;
  calls.reserve(conclusions.size());
  for (const Conclusion& one : conclusions) {
    const std::string version = absl::StrCat(one.version);
    if (one.label.has_value()) {
      calls.push_back(
          TaskInvocation("complete", one.ref, {version, one.label->SerializeAsString()}));
    } else if (!one.broken.empty()) {
      calls.push_back(
          TaskInvocation("finish", one.ref, {Task::State_Name(Task::DEAD), one.broken}));
    } else {
      calls.push_back(TaskInvocation("set_want", one.ref, {version, absl::StrCat(one.want)}));
    }
  }
  ASSIGN_OR_RETURN(const std::vector<Outcome> outcomes, caller_->InvokeAll(slot, calls));
  std::vector<absl::Status> statuses;
  statuses.reserve(outcomes.size());
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const bool known = outcomes[i].ok() || outcomes[i].code == "STALE" ||
                       outcomes[i].code == "TERMINAL" || outcomes[i].code == "NOT_FOUND";
    statuses.push_back(known ? absl::OkStatus() : Unexpected(calls[i].function, outcomes[i]));
  }
  return statuses;
}

absl::StatusOr<ProjectCounts> RedisTaskStore::Counts(absl::string_view project) const {
  const std::string slot = topology().ShardOf(project);
  ASSIGN_OR_RETURN(redis::Reply reply,
                   caller_->pool().Call({"HMGET", redis::ProjectKey(slot, project), "submitted",
                                         "ready", "delayed", "open", "completed", "cancelled",
                                         "expired", "dead", "annotations"}));
  if (reply.elements.size() != 9) return absl::InternalError("unexpected reply to HMGET");
  auto at = [&](int i) { return reply.elements[i].AsInt(); };
  return ProjectCounts{at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8)};
}

bool ParseTask(const redis::Reply& hash, TaskState& state) {
  int64_t expire_ms = 0;
  for (size_t i = 0; i + 1 < hash.elements.size(); i += 2) {
    const std::string& field = hash.elements[i].text;
    const redis::Reply& value = hash.elements[i + 1];
    if (field == "rec" && !state.record.ParseFromString(value.text)) return false;
    if (field == "st") state.state = TaskStateOf(value.text);
    if (field == "v") state.version = value.AsInt();
    if (field == "want") state.want = static_cast<int32_t>(value.AsInt());
    if (field == "have") state.have = static_cast<int32_t>(value.AsInt());
    if (field == "open") state.open = static_cast<int32_t>(value.AsInt());
    if (field == "reports") state.reports = static_cast<int32_t>(value.AsInt());
    if (field == "why") state.end_reason = value.text;
    if (field == "exp") expire_ms = value.AsInt();
    if (field == "pre") state.has_prelabel = state.prelabel.ParseFromString(value.text);
    if (field == "lab") state.has_label = state.label.ParseFromString(value.text);
  }
  // A replay sets another expiry than the record was submitted with.
  state.record.set_expire_ms(expire_ms);
  return state.state != Task::STATE_UNSPECIFIED && !state.record.task().empty();
}

void ParsePlaces(const redis::Reply& hash, TaskState& state) {
  absl::flat_hash_map<std::string, std::vector<std::string>> packed;  // By contractor.
  absl::flat_hash_set<std::string> late;
  for (size_t i = 0; i + 1 < hash.elements.size(); i += 2) {
    const std::string& field = hash.elements[i].text;
    const std::string& value = hash.elements[i + 1].text;
    if (absl::StartsWith(field, "late:")) {
      late.insert(field.substr(5));
    } else if (absl::StartsWith(field, "ann:")) {
      v1::AnnotationRecord record;
      if (record.ParseFromString(value)) state.annotations.push_back(std::move(record));
    } else {
      std::vector<std::string> parts = absl::StrSplit(value, '|');
      if (parts.size() != 7) continue;
      v1::Placement place;
      place.set_contractor(field);
      place.set_state(PlacementStateOf(parts[0]));
      place.set_token(parts[1]);
      place.set_deadline_ms(NumberOf(parts[2]));
      place.set_assignment(parts[3]);
      place.set_offered_ms(NumberOf(parts[4]));
      place.set_work_ms(NumberOf(parts[5]));
      place.set_accepted_ms(NumberOf(parts[6]));
      state.places.push_back(std::move(place));
      packed[field] = std::move(parts);
    }
  }
  for (v1::AnnotationRecord& record : state.annotations) {
    const auto place = packed.find(record.contractor());
    if (place == packed.end()) continue;
    // A submitted place's deadline is the time its answer was accepted.
    record.set_accept_ms(NumberOf(place->second[2]));
    record.set_offered_ms(NumberOf(place->second[4]));
    record.set_accepted_ms(NumberOf(place->second[6]));
    record.set_late(late.contains(record.contractor()));
  }
  std::sort(state.annotations.begin(), state.annotations.end(), AcceptedBefore);
}

}  // namespace fairlead::store
