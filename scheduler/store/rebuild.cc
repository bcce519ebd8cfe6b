#include "scheduler/store/rebuild.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/redis/keys.h"
#include "fairlead/store/v1/records.pb.h"
#include "scheduler/store/home_store.h"
#include "scheduler/store/task_fold.h"

namespace fairlead::store {
namespace {

using fairlead::v1::Task;

// All of one task shard. Sequence numbers make the fold idempotent: an event is taken once.
class ShardFold final : public EventSink {
 public:
  explicit ShardFold(std::string slot) : slot_(std::move(slot)) {}

  void Apply(const v1::Event& event, int64_t) override {
    if (event.slot() != slot_ || event.seq() <= last_seq_) return;
    last_seq_ = event.seq();
    if (event.has_project_put()) {
      projects_[event.project_put().project()] = event.project_put();
    } else if (event.has_tasks_submitted()) {
      Submit(event);
    } else {
      auto found = tasks_.find(event.key());
      if (found != tasks_.end()) found->second.Apply(event);
    }
  }

  std::vector<redis::Arguments> Commands() const;

 private:
  void Submit(const v1::Event& event) {
    std::vector<std::string> ids;
    for (const v1::TaskRecord& record : event.tasks_submitted().tasks()) {
      tasks_.insert_or_assign(record.task(), TaskFold(record, event));
      ids.push_back(record.task());
    }
    requests_[redis::RequestKey(slot_, event.project(), event.tasks_submitted().request_id())] =
        absl::StrCat(event.tasks_submitted().body_hash(), " ", absl::StrJoin(ids, ","));
  }

  void TaskCommands(const std::string& id, const TaskFold& task,
                    std::vector<redis::Arguments>& out) const;

  const std::string slot_;
  uint64_t last_seq_ = 0;
  std::map<std::string, v1::ProjectRecord> projects_;
  std::map<std::string, TaskFold> tasks_;
  std::map<std::string, std::string> requests_;
};

void ShardFold::TaskCommands(const std::string& id, const TaskFold& task,
                             std::vector<redis::Arguments>& out) const {
  const v1::TaskRecord& record = task.record;
  const size_t have = task.annotations.size();
  const std::string rank = absl::StrCat(RankOf(record));
  redis::Arguments hash = {"HSET",    redis::TaskKey(slot_, id),
                           "p",       record.project(),
                           "st",      Task::State_Name(task.state),
                           "v",       absl::StrCat(task.version),
                           "want",    absl::StrCat(task.want),
                           "have",    absl::StrCat(have),
                           "open",    "0",
                           "rank",    rank,
                           "exp",     absl::StrCat(record.expire_ms()),
                           "reports", absl::StrCat(task.reporters.size()),
                           "rec",     record.SerializeAsString()};
  if (task.has_prelabel) hash.insert(hash.end(), {"pre", task.prelabel.SerializeAsString()});
  if (task.has_label) hash.insert(hash.end(), {"lab", task.label.SerializeAsString()});
  if (!task.end_reason.empty()) hash.insert(hash.end(), {"why", task.end_reason});
  if (task.ended()) hash.insert(hash.end(), {"es", absl::StrCat(task.last_seq)});
  out.push_back(std::move(hash));
  redis::Arguments places = {"HSET", redis::PlacesKey(slot_, id)};
  for (const v1::AnnotationRecord& a : task.annotations) {
    const std::string packed = absl::StrJoin(
        {std::string("SUBMITTED"), a.token(), absl::StrCat(a.accept_ms()), a.assignment(),
         absl::StrCat(a.offered_ms()), std::string("0"), absl::StrCat(a.accepted_ms())},
        "|");
    places.insert(places.end(), {a.contractor(), packed, absl::StrCat("ann:", a.contractor()),
                                 a.SerializeAsString()});
    if (a.late()) places.insert(places.end(), {absl::StrCat("late:", a.contractor()), "1"});
  }
  for (const std::string& contractor : task.reporters) {
    places.insert(places.end(), {contractor, "REPORTED||0||0|0|0"});
  }
  if (places.size() > 2) out.push_back(std::move(places));
  if (task.ended()) {
    out.push_back({"ZADD", redis::DeadKey(slot_), absl::StrCat(task.end_ms), id});
    return;
  }
  const std::string created = absl::StrCat(record.create_ms());
  out.push_back({"ZADD", redis::LiveKey(slot_), created, id});
  out.push_back({"ZADD", redis::ExpiriesKey(slot_), absl::StrCat(record.expire_ms()), id});
  // Whatever had to be decided when Redis went is decided now.
  if (have > 0 || !task.reporters.empty())
    out.push_back({"ZADD", redis::DirtyKey(slot_), created, id});
  if (task.state == Task::DELAYED) {
    out.push_back({"ZADD", redis::DelayedKey(slot_), absl::StrCat(record.start_ms()), id});
  } else if (static_cast<int32_t>(have) < task.want) {
    out.push_back({"ZADD", redis::ReadyKey(slot_, record.project()), rank, id});
  }
}

std::vector<redis::Arguments> ShardFold::Commands() const {
  std::vector<redis::Arguments> out;
  std::map<std::string, std::map<std::string, int64_t>> counts;
  for (const auto& [id, task] : tasks_) {
    // What has ended is read from the log; only dead letters can still be replayed.
    if (!task.ended() || task.state == Task::DEAD) TaskCommands(id, task, out);
    std::map<std::string, int64_t>& project = counts[task.record.project()];
    ++project[absl::AsciiStrToLower(Task::State_Name(task.state))];
    ++project["submitted"];
    project["annotations"] += static_cast<int64_t>(task.annotations.size());
  }
  for (const auto& [project, record] : projects_) {
    redis::Arguments hash = {"HSET",   redis::ProjectKey(slot_, project),
                             "rev",    absl::StrCat(record.revision()),
                             "rec",    record.SerializeAsString(),
                             "paused", record.paused() ? "1" : "0",
                             "cap",    absl::StrCat(record.settings().backlog_cap())};
    for (const auto& [name, count] : counts[project]) {
      hash.insert(hash.end(), {name, absl::StrCat(count)});
    }
    out.push_back(std::move(hash));
    out.push_back({"SADD", redis::ProjectsKey(slot_), project});
  }
  for (const auto& [key, answer] : requests_)
    out.push_back({"SET", key, answer, "PX", "604800000"});
  return out;
}

// One home: its contractors, and the pay that the task shards' annotations add up to.
class HomeFold final : public EventSink {
 public:
  HomeFold(std::string slot, const Topology& topology)
      : slot_(std::move(slot)), topology_(topology) {}

  void Apply(const v1::Event& event, int64_t) override {
    if (event.has_contractor_put() && event.slot() == slot_) {
      contractors_[event.contractor_put().contractor()] =
          event.contractor_put().SerializeAsString();
    }
    const v1::AnnotationRecord* work = PaidWork(event);
    if (work == nullptr || event.seq() <= cursors_[event.slot()]) return;
    cursors_[event.slot()] = event.seq();
    const v1::PayRecord& pay = work->pay();
    if (topology_.HomeOf(pay.contractor()) != slot_) return;
    PayDelta& delta = pay_[pay.contractor()];
    delta.micros += pay.micros();
    ++delta.annotations;
  }

  std::vector<redis::Arguments> Commands() const {
    std::vector<redis::Arguments> out;
    for (const auto& [contractor, record] : contractors_) {
      out.push_back({"HSET", redis::ContractorKey(slot_, contractor), "rec", record});
      out.push_back({"SADD", redis::ContractorsKey(slot_), contractor});
    }
    for (const auto& [contractor, delta] : pay_) {
      out.push_back({"HSET", redis::ContractorKey(slot_, contractor), "bal",
                     absl::StrCat(delta.micros), "n", absl::StrCat(delta.annotations)});
    }
    for (const auto& [slot, cursor] : cursors_) {
      out.push_back({"HSET", redis::FoldCursorKey(slot_), slot, absl::StrCat(cursor)});
    }
    return out;
  }

 private:
  const std::string slot_;
  const Topology topology_;
  std::map<std::string, std::string> contractors_;
  std::map<std::string, PayDelta> pay_;
  std::map<std::string, uint64_t> cursors_;
};

class RegistryFold final : public EventSink {
 public:
  void Apply(const v1::Event& event, int64_t) override {
    if (event.has_tenant_put()) {
      Put(redis::TenantsKey(), event.tenant_put().tenant(), event.tenant_put().SerializeAsString());
    } else if (event.has_token_put()) {
      Put(redis::TokensKey(), event.token_put().sha256(), event.token_put().SerializeAsString());
    } else if (event.has_model_put()) {
      Put(redis::ModelsKey(), event.model_put().model(), event.model_put().SerializeAsString());
    }
  }

  std::vector<redis::Arguments> Commands() const {
    std::vector<redis::Arguments> out;
    for (const auto& [key, record] : records_) {
      out.push_back({"HSET", key.first, key.second, record.second, absl::StrCat(key.second, "#rev"),
                     absl::StrCat(record.first)});
    }
    return out;
  }

 private:
  void Put(const std::string& key, const std::string& id, std::string record) {
    auto& stored = records_[{key, id}];
    ++stored.first;
    stored.second = std::move(record);
  }
  std::map<std::pair<std::string, std::string>, std::pair<int64_t, std::string>> records_;
};

absl::Status Wipe(redis::ConnectionPool& pool, const std::string& slot) {
  std::string cursor = "0";
  do {
    ASSIGN_OR_RETURN(
        redis::Reply page,
        pool.Call({"SCAN", cursor, "MATCH", absl::StrCat("fl:{", slot, "}:*"), "COUNT", "1000"}));
    cursor = page.elements[0].AsText();
    // The leader stays: leadership is older than the data, and this replica holds it.
    redis::Arguments unlink = {"UNLINK"};
    for (const redis::Reply& key : page.elements[1].elements) {
      if (key.text != redis::LeaderKey()) unlink.push_back(key.text);
    }
    if (unlink.size() > 1) RETURN_IF_ERROR(pool.Call(unlink).status());
  } while (cursor != "0");
  return absl::OkStatus();
}

absl::Status Write(redis::ConnectionPool& pool, const std::vector<redis::Arguments>& commands) {
  constexpr size_t kBatch = 500;
  for (size_t begin = 0; begin < commands.size(); begin += kBatch) {
    const size_t end = std::min(begin + kBatch, commands.size());
    ASSIGN_OR_RETURN(std::vector<redis::Reply> replies,
                     pool.Pipeline({commands.begin() + static_cast<std::ptrdiff_t>(begin),
                                    commands.begin() + static_cast<std::ptrdiff_t>(end)}));
    for (const redis::Reply& reply : replies) {
      if (reply.type == redis::Reply::Type::kError) {
        return absl::UnavailableError(absl::StrCat("rebuild: ", reply.text));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Rebuild(redis::ConnectionPool& pool, RecordLog& log, const LogIndex& index,
                     const Topology& topology, const std::set<std::string>& slots) {
  std::map<std::string, ShardFold> shards;
  std::map<std::string, HomeFold> homes;
  RegistryFold registry;
  std::vector<EventSink*> sinks = {&registry};
  for (const std::string& slot : slots) {
    if (slot[0] == 's' && slot != kRegistrySlot)
      sinks.push_back(&shards.try_emplace(slot, slot).first->second);
    if (slot[0] == 'h') sinks.push_back(&homes.try_emplace(slot, slot, topology).first->second);
  }
  RETURN_IF_ERROR(ReplayLog(log, sinks));
  for (const std::string& slot : slots) {
    RETURN_IF_ERROR(Wipe(pool, slot));
    std::vector<redis::Arguments> commands;
    if (auto shard = shards.find(slot); shard != shards.end()) commands = shard->second.Commands();
    if (auto home = homes.find(slot); home != homes.end()) commands = home->second.Commands();
    if (slot == kRegistrySlot) commands = registry.Commands();
    commands.push_back({"SET", redis::SequenceKey(slot), absl::StrCat(index.LastSeq(slot))});
    RETURN_IF_ERROR(Write(pool, commands));
    FAIRLEAD_LOG(INFO) << "slot rebuilt from the record log slot=" << slot
                       << " commands=" << commands.size();
  }
  return absl::OkStatus();
}

}  // namespace fairlead::store
