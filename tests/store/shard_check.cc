#include "tests/store/shard_check.h"

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/redis/keys.h"
#include "scheduler/store/event_codec.h"
#include "scheduler/store/redis_task_store.h"

namespace fairlead::store {
namespace {

using fairlead::v1::Task;
using v1::Placement;

using Members = std::set<std::string>;

absl::StatusOr<Members> MembersOf(redis::ConnectionPool& pool, const std::string& key) {
  ASSIGN_OR_RETURN(redis::Reply reply, pool.Call({"ZRANGE", key, "0", "-1"}));
  Members members;
  for (const redis::Reply& member : reply.elements) members.insert(member.text);
  return members;
}

absl::Status Expect(bool holds, const std::string& what) {
  return holds ? absl::OkStatus() : absl::InternalError(what);
}

// What the tasks say must be in the shard's queues.
struct Wanted {
  Members unfinished;  // Withdrawn by its task's end: among the deadlines until its own has passed.
  Members live, ended, dead, delayed, deadlines;
  std::map<std::string, Members> ready;                            // By project.
  std::map<std::string, std::map<Task::State, int64_t>> by_state;  // By project.
  std::map<std::string, int64_t> answers;                          // By project.
};

absl::Status AddTask(const std::string& id, const TaskState& task, Wanted& wanted) {
  int live = 0, submitted = 0;
  for (const Placement& place : task.places) {
    const bool out = place.state() == Placement::OFFERED || place.state() == Placement::ACCEPTED;
    live += out ? 1 : 0;
    submitted += place.state() == Placement::SUBMITTED ? 1 : 0;
    const std::string member = absl::StrCat(id, "|", place.contractor());
    if (out) wanted.deadlines.insert(member);
    if (place.state() == Placement::WITHDRAWN && place.accepted_ms() > 0 &&
        place.deadline_ms() > 0) {
      wanted.unfinished.insert(member);
    }
  }
  const int answers = static_cast<int>(task.annotations.size());
  RETURN_IF_ERROR(Expect(task.open == live, absl::StrCat(id, " counts other places than it has")));
  RETURN_IF_ERROR(Expect(task.have == answers && submitted == answers,
                         absl::StrCat(id, " counts other answers than it has")));
  const std::string& project = task.record.project();
  ++wanted.by_state[project][task.state];
  wanted.answers[project] += answers;
  const bool ended =
      task.state == Task::COMPLETED || task.state == Task::CANCELLED || task.state == Task::EXPIRED;
  if (task.state == Task::DEAD) {
    wanted.dead.insert(id);
  } else {
    (ended ? wanted.ended : wanted.live).insert(id);
  }
  if (task.state == Task::DELAYED) wanted.delayed.insert(id);
  const bool open = task.state == Task::READY || task.state == Task::OPEN;
  if (open && task.have + task.open < task.want) wanted.ready[project].insert(id);
  return Expect(!open || (task.state == Task::OPEN) == (task.have + task.open > 0),
                absl::StrCat(id, " is in a state that its counters deny"));
}

absl::StatusOr<Wanted> ReadTasks(redis::ConnectionPool& pool, const std::string& slot) {
  const std::string prefix = redis::TaskKey(slot, "");
  ASSIGN_OR_RETURN(redis::Reply keys, pool.Call({"KEYS", prefix + "*"}));
  Wanted wanted;
  if (keys.elements.empty()) return wanted;
  std::vector<redis::Arguments> reads;
  for (const redis::Reply& key : keys.elements) {
    reads.push_back({"HGETALL", key.text});
    reads.push_back({"HGETALL", redis::PlacesKey(slot, key.text.substr(prefix.size()))});
  }
  ASSIGN_OR_RETURN(std::vector<redis::Reply> hashes, pool.Pipeline(reads));
  for (size_t i = 0; i < keys.elements.size(); ++i) {
    const std::string id = keys.elements[i].text.substr(prefix.size());
    TaskState task;
    RETURN_IF_ERROR(Expect(ParseTask(hashes[2 * i], task), absl::StrCat(id, " cannot be read")));
    ParsePlaces(hashes[2 * i + 1], task);
    RETURN_IF_ERROR(AddTask(id, task, wanted));
  }
  return wanted;
}

absl::Status CheckProject(redis::ConnectionPool& pool, const std::string& slot,
                          const std::string& project, Wanted& wanted) {
  ASSIGN_OR_RETURN(Members ready, MembersOf(pool, redis::ReadyKey(slot, project)));
  RETURN_IF_ERROR(Expect(ready == wanted.ready[project], project + ": wrong ready queue"));
  const std::pair<const char*, Task::State> states[] = {{"ready", Task::READY},
                                                        {"delayed", Task::DELAYED},
                                                        {"open", Task::OPEN},
                                                        {"completed", Task::COMPLETED},
                                                        {"cancelled", Task::CANCELLED},
                                                        {"expired", Task::EXPIRED},
                                                        {"dead", Task::DEAD}};
  int64_t sum = 0;
  for (const auto& [field, state] : states) {
    ASSIGN_OR_RETURN(redis::Reply counted,
                     pool.Call({"HGET", redis::ProjectKey(slot, project), field}));
    const int64_t found = wanted.by_state[project][state];
    const bool may_leave = state != Task::READY && state != Task::DELAYED && state != Task::OPEN;
    const bool right = may_leave ? counted.AsInt() >= found : counted.AsInt() == found;
    RETURN_IF_ERROR(Expect(
        right, absl::StrCat(project, " counts ", counted.AsInt(), " ", field, " of ", found)));
    sum += counted.AsInt();
  }
  ASSIGN_OR_RETURN(redis::Reply submitted,
                   pool.Call({"HGET", redis::ProjectKey(slot, project), "submitted"}));
  return Expect(submitted.AsInt() == sum,
                absl::StrCat("G4: ", project, " submitted ", submitted.AsInt(), ", has ", sum));
}

absl::Status CheckEvents(redis::ConnectionPool& pool, const std::string& slot) {
  ASSIGN_OR_RETURN(redis::Reply seq, pool.Call({"GET", redis::SequenceKey(slot)}));
  ASSIGN_OR_RETURN(redis::Reply events, pool.Call({"XRANGE", redis::EventsKey(slot), "-", "+"}));
  uint64_t last = 0;
  for (const redis::Reply& entry : events.elements) {
    ASSIGN_OR_RETURN(v1::Event event, DecodeEvent(slot, "1-a", entry));
    RETURN_IF_ERROR(Expect(last == 0 || event.seq() == last + 1,
                           absl::StrCat("a gap in the events behind ", last)));
    last = event.seq();
  }
  // After a rebuild the events are in the log alone.
  const bool complete = last == 0 || last == static_cast<uint64_t>(seq.AsInt());
  return Expect(complete, "the events end before the sequence");
}

}  // namespace

absl::Status CheckShard(redis::ConnectionPool& pool, const std::string& slot) {
  ASSIGN_OR_RETURN(Wanted wanted, ReadTasks(pool, slot));
  const std::pair<std::string, const Members*> queues[] = {
      {redis::LiveKey(slot), &wanted.live},
      {redis::ExpiriesKey(slot), &wanted.live},
      {redis::EndedKey(slot), &wanted.ended},
      {redis::DeadKey(slot), &wanted.dead},
      {redis::DelayedKey(slot), &wanted.delayed}};
  for (const auto& [key, members] : queues) {
    ASSIGN_OR_RETURN(Members are, MembersOf(pool, key));
    RETURN_IF_ERROR(Expect(are == *members, key + ": not the tasks that belong there"));
  }
  ASSIGN_OR_RETURN(Members deadlines, MembersOf(pool, redis::DeadlinesKey(slot)));
  for (const std::string& member : wanted.unfinished) deadlines.erase(member);
  RETURN_IF_ERROR(Expect(deadlines == wanted.deadlines, "not the deadlines of what is out"));
  ASSIGN_OR_RETURN(Members dirty, MembersOf(pool, redis::DirtyKey(slot)));
  for (const std::string& id : dirty) {
    RETURN_IF_ERROR(Expect(wanted.live.count(id) > 0, id + " is dirty and not live"));
  }
  ASSIGN_OR_RETURN(redis::Reply projects, pool.Call({"SMEMBERS", redis::ProjectsKey(slot)}));
  for (const redis::Reply& project : projects.elements) {
    RETURN_IF_ERROR(CheckProject(pool, slot, project.text, wanted));
  }
  return CheckEvents(pool, slot);
}

}  // namespace fairlead::store
