// EVERY Redis key of Fairlead: name, type, bound, who writes and who reads. `{…}` is the hash tag:
// a transition touches the keys of one tag only. No key has a TTL unless said; leases are never TTL
// keys.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace fairlead::redis {

// A slot: "s<k>" task shards, "h<k>" contractor homes, "m<k>" machine lanes, "sys" the registry.
inline std::string SlotKey(absl::string_view slot, absl::string_view suffix) {
  return absl::StrCat("fl:{", slot, "}:", suffix);
}

// ---- In every slot --------------------------------------------------------------------------
// STRING "<counter>-<random>-<beginning of the run_id>": the incarnation. Written by recovery,
// checked by every function.
inline std::string IncarnationKey(absl::string_view slot) { return SlotKey(slot, "inc"); }
// STRING: sequence of the last event.
inline std::string SequenceKey(absl::string_view slot) { return SlotKey(slot, "seq"); }
// STREAM, ids "<seq>-0": events; trimmed only behind what the record logs hold (follower).
inline std::string EventsKey(absl::string_view slot) { return SlotKey(slot, "ev"); }

// ---- Task shards ------------------------------------------------------------------------------
// SET of project keys; one entry a project.
inline std::string ProjectsKey(absl::string_view slot) { return SlotKey(slot, "ps"); }
// HASH of a project: rec (ProjectRecord), paused, cap, and the counts submitted, ready, delayed,
// open, completed, cancelled, expired, dead, annotations.
inline std::string ProjectKey(absl::string_view slot, absl::string_view project) {
  return SlotKey(slot, absl::StrCat("p:", project));
}
// ZSET of the project's tasks that want an offer, by rank (priority, then time); ≤ backlog cap.
inline std::string ReadyKey(absl::string_view slot, absl::string_view project) {
  return SlotKey(slot, absl::StrCat("r:", project));
}
// HASH of a task: p (project), st, v (version), want, have, open, rank, exp, rec (TaskRecord), pre
// (PrelabelRecord), lab (LabelRecord), why, es (sequence of the last event, once ended). Archived
// after it ended.
inline std::string TaskKey(absl::string_view slot, absl::string_view task) {
  return SlotKey(slot, absl::StrCat("t:", task));
}
// HASH of a task's places: contractor → "state|token|deadline|assignment|offered|work|accepted",
// and "ann:<contractor>" → AnnotationRecord. At most two fields a contractor, ≤ 200 contractors.
inline std::string PlacesKey(absl::string_view slot, absl::string_view task) {
  return SlotKey(slot, absl::StrCat("a:", task));
}
// ZSET "<task>|<contractor>" by deadline (ms): offers and assignments under way. Reaper.
inline std::string DeadlinesKey(absl::string_view slot) { return SlotKey(slot, "dl"); }
// ZSET of tasks by expiry (ms). Reaper.
inline std::string ExpiriesKey(absl::string_view slot) { return SlotKey(slot, "ex"); }
// ZSET of DELAYED tasks by start time (ms). Reaper.
inline std::string DelayedKey(absl::string_view slot) { return SlotKey(slot, "z"); }
// ZSET of tasks by creation (ms) that have not ended: what a taking-over leader reads.
inline std::string LiveKey(absl::string_view slot) { return SlotKey(slot, "live"); }
// ZSET of tasks with something to decide, by when it came (ms). Collector.
inline std::string DirtyKey(absl::string_view slot) { return SlotKey(slot, "d"); }
// ZSET of DEAD tasks by time of death (ms), until archived.
inline std::string DeadKey(absl::string_view slot) { return SlotKey(slot, "dead"); }
// ZSET of other ended tasks by end (ms), until archived.
inline std::string EndedKey(absl::string_view slot) { return SlotKey(slot, "end"); }
// STRING "<body hash> <id>,<id>,…", PX 7 days: a submit's answer, for its repetition.
inline std::string RequestKey(absl::string_view slot, absl::string_view project,
                              absl::string_view request_id) {
  return SlotKey(slot, absl::StrCat("q:", project, ":", request_id));
}

// ---- Contractor homes ---------------------------------------------------------------------------
// SET of contractor ids.
inline std::string ContractorsKey(absl::string_view slot) { return SlotKey(slot, "cs"); }
// HASH of a contractor: rec (ContractorRecord), bal (micros), n (annotations). Projection of
// events.
inline std::string ContractorKey(absl::string_view slot, absl::string_view contractor) {
  return SlotKey(slot, absl::StrCat("c:", contractor));
}
// ZSET contractor → presence until (ms); HASH contractor → credit.
inline std::string PresenceKey(absl::string_view slot) { return SlotKey(slot, "on"); }
inline std::string CreditKey(absl::string_view slot) { return SlotKey(slot, "cr"); }
// HASH task slot → sequence folded so far: each pay entry is folded exactly once.
inline std::string FoldCursorKey(absl::string_view slot) { return SlotKey(slot, "cur"); }

// ---- Registry (slot "sys")
// ------------------------------------------------------------------------ HASHes id → record:
// tenants, tokens (by SHA-256 of the secret), models.
inline std::string TenantsKey() { return SlotKey("sys", "tenants"); }
inline std::string TokensKey() { return SlotKey("sys", "tokens"); }
inline std::string ModelsKey() { return SlotKey("sys", "models"); }
// HASH: schema version, shards, homes, lanes; fixed at creation.
inline std::string SchemaKey() { return SlotKey("sys", "schema"); }
// HASH: id, token, until (ms): who leads the pool.
inline std::string LeaderKey() { return SlotKey("sys", "leader"); }

// ---- Machine lanes ----------------------------------------------------------------------------
// All of a lane stands in these keys, so that every call can declare what it touches. At most
// 1,000,000 jobs that have not ended; ended ones are forgotten by count and age (Retention). Only
// functions of lua/lane3.*.lua write these; its head gives the packed formats.
// HASH of packed state: the lane, classes, flows, parts of their queues, sessions, grants, texts.
inline std::string LaneStateKey(absl::string_view slot) { return SlotKey(slot, "st3"); }
// HASH job → where its bytes are, or they themselves.
inline std::string JobsKey(absl::string_view slot) { return SlotKey(slot, "job3"); }
// ZSET "<class>|<flow>" by class and pass: the fair order; at most one member a class and flow.
inline std::string JobOrderKey(absl::string_view slot) { return SlotKey(slot, "act3"); }
// ZSET of delayed jobs, and of flows whose rate is spent, by due time (ms).
inline std::string JobDueKey(absl::string_view slot) { return SlotKey(slot, "due3"); }
// ZSET, all scores 0, of ready jobs with deadlines, in order of class, flow, priority, deadline.
inline std::string JobDatedKey(absl::string_view slot) { return SlotKey(slot, "dated3"); }
// ZSET session → ms before which its lease does not expire, ≤ 4,096.
inline std::string SessionsKey(absl::string_view slot) { return SlotKey(slot, "ses3"); }
// ZSET of dead jobs by time of death (ms).
inline std::string JobDeadKey(absl::string_view slot) { return SlotKey(slot, "dead3"); }
// LIST of wake-up tokens (≤ 64): idle sessions block on it instead of polling.
inline std::string WakeKey(absl::string_view slot) { return SlotKey(slot, "wake3"); }

}  // namespace fairlead::redis
