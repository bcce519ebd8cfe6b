#include "scheduler/store/recovery.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/queue/lane_wire.h"
#include "common/redis/functions.h"
#include "common/redis/keys.h"
#include "scheduler/store/rebuild.h"
#include "scheduler/store/registry_store.h"

namespace fairlead::store {
namespace {

constexpr absl::Duration kLeaderLease = absl::Seconds(5);

// "<counter>-<random>", the counter one more than in `old`.
std::string NextIncarnation(absl::string_view old) {
  const std::vector<std::string> parts = absl::StrSplit(old, '-');
  int64_t counter = 0;
  if (!absl::SimpleAtoi(parts[0], &counter)) counter = 0;
  return absl::StrCat(counter + 1, "-", RandomHex(8));
}

// The server's run_id: another one means that it was restarted.
absl::StatusOr<std::string> RunIdOf(redis::ConnectionPool& pool) {
  ASSIGN_OR_RETURN(redis::Reply info, pool.Call({"INFO", "server"}));
  for (absl::string_view line : absl::StrSplit(info.text, absl::ByAnyChar("\r\n"))) {
    if (absl::ConsumePrefix(&line, "run_id:")) return std::string(line);
  }
  return absl::InternalError("INFO server has no run_id");
}

}  // namespace

Recovery::Recovery(const RecoveryParts& parts, const Topology& topology, std::string replica,
                   bool dev_mode)
    : parts_(parts),
      topology_(topology),
      replica_(std::move(replica)),
      token_(RandomHex(8)),
      dev_mode_(dev_mode) {}

absl::Status Recovery::RunOnce() {
  if (!parts_.gate->open()) {
    RETURN_IF_ERROR(redis::CheckServer(*parts_.pool, dev_mode_));
    RETURN_IF_ERROR(redis::LoadFunctions(*parts_.pool));
  }
  const bool led = leading_;
  absl::StatusOr<bool> leads = Lead(*parts_.pool, replica_, token_, kLeaderLease);
  leading_ = leads.ok() && *leads;
  RETURN_IF_ERROR(leads.status());
  if (!leading_) {
    parts_.gate->Close();
    return Error(absl::StatusCode::kFailedPrecondition, "NOT_LEADER", "another replica leads");
  }
  // A new leader first fences the old one: nothing that was under way elsewhere commits after this.
  if (!led) parts_.gate->Close();
  if (parts_.gate->open()) return absl::OkStatus();
  return Recover();
}

absl::Status Recovery::CheckSchema() {
  const std::string wanted =
      absl::StrCat("1/", topology_.shards, "/", topology_.homes, "/", topology_.lanes);
  ASSIGN_OR_RETURN(redis::Reply stored, parts_.pool->Call({"HGET", redis::SchemaKey(), "layout"}));
  if (stored.is_nil()) {
    return parts_.pool->Call({"HSET", redis::SchemaKey(), "layout", wanted}).status();
  }
  if (stored.AsText() == wanted) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, "SCHEMA_MISMATCH",
               absl::StrCat("the cluster was created with schema/shards/homes/lanes ",
                            stored.AsText(), ", this process is set to ", wanted,
                            ": the counts are fixed at creation, set them as they were"));
}

absl::StatusOr<uint64_t> Recovery::CursorOf(const std::string& slot) {
  ASSIGN_OR_RETURN(
      std::vector<redis::Reply> replies,
      parts_.pool->Pipeline({{"XRANGE", redis::EventsKey(slot), "-", "+", "COUNT", "1"},
                             {"GET", redis::SequenceKey(slot)}}));
  if (replies[0].elements.empty()) return static_cast<uint64_t>(replies[1].AsInt());
  const std::vector<std::string> id = absl::StrSplit(replies[0].elements[0].elements[0].text, '-');
  uint64_t first = 0;
  if (!absl::SimpleAtoi(id[0], &first) || first == 0) return absl::DataLossError("bad stream id");
  return std::max(parts_.index->LastSeq(slot), first - 1);
}

absl::Status Recovery::Recover() {
  parts_.follower->Quiesce();
  std::set<std::string> poorer;
  for (const std::string& slot : topology_.AllSlots()) {
    ASSIGN_OR_RETURN(redis::Reply seq, parts_.pool->Call({"GET", redis::SequenceKey(slot)}));
    if (static_cast<uint64_t>(seq.AsInt()) < parts_.index->LastSeq(slot)) poorer.insert(slot);
  }
  if (!poorer.empty()) {
    FAIRLEAD_LOG(WARNING) << "redis holds less than the record log slots=" << poorer.size();
    RETURN_IF_ERROR(Rebuild(*parts_.pool, *parts_.log, *parts_.index, topology_, poorer));
  }
  RETURN_IF_ERROR(CheckSchema());
  for (const std::string& slot : topology_.AllSlots()) {
    ASSIGN_OR_RETURN(uint64_t cursor, CursorOf(slot));
    parts_.follower->Reset(slot, cursor);
  }
  return OpenSlots();
}

absl::Status Recovery::OpenSlots() {
  ASSIGN_OR_RETURN(const std::string run_id, RunIdOf(*parts_.pool));
  ASSIGN_OR_RETURN(redis::Reply known, parts_.pool->Call({"HGET", redis::SchemaKey(), "run_id"}));
  const bool same_server = !run_id.empty() && known.AsText() == run_id;
  absl::flat_hash_map<std::string, std::string> incarnations;
  for (const std::string& slot : topology_.AllSlots()) {
    ASSIGN_OR_RETURN(redis::Reply old, parts_.pool->Call({"GET", redis::IncarnationKey(slot)}));
    if (slot[0] == 'm' && same_server && !old.is_nil()) {
      // Nobody leads a lane: as long as Redis has lost nothing, running jobs keep their leases.
      incarnations[slot] = old.AsText();
      continue;
    }
    // Whoever calls the slot in another life of Redis is refused, also a call that is under way.
    const std::string next = queue::BindToServer(NextIncarnation(old.AsText()), run_id);
    ASSIGN_OR_RETURN(redis::Reply opened,
                     redis::CallFunction(*parts_.pool, "fl_registry_open",
                                         {redis::IncarnationKey(slot)}, {"0", old.AsText(), next}));
    if (opened.elements.empty() || opened.elements[0].AsText() != "OK") {
      return absl::UnavailableError(absl::StrCat("slot ", slot, " was opened by somebody else"));
    }
    incarnations[slot] = next;
  }
  for (const std::string& slot : topology_.ShardSlots()) {
    RETURN_IF_ERROR(parts_.view->LoadShard(*parts_.pool, slot));
  }
  for (const std::string& slot : topology_.HomeSlots()) {
    RETURN_IF_ERROR(parts_.view->LoadHome(*parts_.pool, slot));
  }
  RETURN_IF_ERROR(
      redis::CallFunction(*parts_.pool, "fl_registry_serve", {redis::SchemaKey()}, {"0", run_id})
          .status());
  parts_.gate->Open(std::move(incarnations));
  FAIRLEAD_LOG(INFO) << "gate opened replica=" << replica_;
  return absl::OkStatus();
}

void Recovery::Resign() {
  if (!leading_) return;
  leading_ = false;
  absl::Status given_up = Lead(*parts_.pool, replica_, token_, absl::ZeroDuration()).status();
  if (!given_up.ok()) FAIRLEAD_LOG(WARNING) << "leadership not given up: " << given_up.message();
}

}  // namespace fairlead::store
