#include "common/queue/redis_job_queue.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/queue/job_rules.h"
#include "common/redis/functions.h"
#include "common/redis/keys.h"

namespace fairlead::queue {
namespace {

using redis::Arguments;
using redis::Reply;

constexpr int kTokenBytes = 16;
constexpr int kMaxReap = 100;
constexpr int kMaxPage = 1000;

// In the order that lua/lane.lua documents.
std::vector<std::string> LaneKeys(absl::string_view slot) {
  return {redis::IncarnationKey(slot), redis::SequenceKey(slot),     redis::EventsKey(slot),
          redis::JobRecordsKey(slot),  redis::JobStatesKey(slot),    redis::JobErrorsKey(slot),
          redis::JobNotesKey(slot),    redis::JobReadyKey(slot),     redis::JobDelayedKey(slot),
          redis::SessionsKey(slot),    redis::SessionNotesKey(slot), redis::JobHeldKey(slot),
          redis::JobDeadKey(slot),     redis::JobDoneKey(slot),      redis::JobCountsKey(slot),
          redis::DrainKey(slot),       redis::WakeKey(slot)};
}

absl::Status BadReply(absl::string_view function) {
  return absl::InternalError(absl::StrCat(function, " answered in an unknown shape"));
}

std::string CodeOf(const Reply& reply) {
  return reply.elements.size() >= 3 ? reply.elements[0].AsText() : "";
}

absl::Status StatusOfCode(const std::string& code, absl::string_view function) {
  const std::string message = absl::StrCat(function, " was refused: ", code);
  if (code == "OK") return absl::OkStatus();
  if (code == "INCARNATION") {
    return Error(absl::StatusCode::kUnavailable, "LANE_CLOSED", "the lane changes its incarnation");
  }
  if (code == "FULL") return Error(absl::StatusCode::kResourceExhausted, "QUEUE_FULL", message);
  if (code == "NOT_FOUND") return Error(absl::StatusCode::kNotFound, "NOT_FOUND", message);
  if (code == "TERMINAL" || code == "NOT_DEAD") {
    return Error(absl::StatusCode::kFailedPrecondition, absl::StrCat("STATE_", code), message);
  }
  return absl::InternalError(message);
}

absl::StatusOr<Lease> ParseLease(const Reply& reply) {
  Lease lease;
  if (reply.elements.size() != 4 || !lease.job.ParseFromString(reply.elements[0].text)) {
    return BadReply("a lease");
  }
  lease.token = reply.elements[1].AsText();
  lease.attempts = static_cast<int32_t>(reply.elements[2].AsInt());
  lease.crashes = static_cast<int32_t>(reply.elements[3].AsInt());
  return lease;
}

std::vector<std::string> Texts(const Reply& reply) {
  std::vector<std::string> texts;
  for (const Reply& element : reply.elements) texts.push_back(element.AsText());
  return texts;
}

Arguments TickArguments(const TickRequest& request, bool is_new) {
  absl::BitGen gen;
  Arguments out = {request.session, is_new ? "1" : "0", request.description,
                   absl::StrCat(absl::ToInt64Milliseconds(request.lease))};
  out.push_back(absl::StrCat(request.kinds.size()));
  out.insert(out.end(), request.kinds.begin(), request.kinds.end());
  out.push_back(absl::StrCat(request.want));
  for (int i = 0; i < request.want; ++i) out.push_back(RandomHex(kTokenBytes));
  out.push_back(absl::StrCat(request.acks.size()));
  for (const Ack& ack : request.acks) {
    out.insert(out.end(), {ack.token, ack.result.SerializeAsString()});
  }
  out.push_back(absl::StrCat(request.nacks.size()));
  for (const Nack& nack : request.nacks) {
    const double jitter = absl::Uniform(gen, 0.0, 1.0);
    out.insert(out.end(), {nack.token, nack.preempted ? "1" : "0", absl::StrFormat("%.6f", jitter),
                           nack.error});
  }
  out.push_back(absl::StrCat(request.progress.size()));
  for (const ProgressNote& note : request.progress) {
    out.insert(out.end(), {note.token, note.text});
  }
  return out;
}

TickResponse Fenced(const TickRequest& request) {
  TickResponse response;
  response.fenced = true;
  for (const Ack& ack : request.acks) response.lost.push_back(ack.token);
  for (const Nack& nack : request.nacks) response.lost.push_back(nack.token);
  for (const ProgressNote& note : request.progress) response.lost.push_back(note.token);
  return response;
}

absl::StatusOr<TickResponse> ParseTick(const Reply& reply) {
  if (reply.elements.size() != 7) return BadReply("fl_lane_tick");
  TickResponse response;
  response.drain = reply.elements[3].AsInt() != 0;
  response.cancelled = Texts(reply.elements[4]);
  response.lost = Texts(reply.elements[5]);
  for (const Reply& element : reply.elements[6].elements) {
    ASSIGN_OR_RETURN(Lease lease, ParseLease(element));
    response.leases.push_back(std::move(lease));
  }
  return response;
}

}  // namespace

RedisJobQueue::RedisJobQueue(redis::ConnectionPool* pool, std::string slot,
                             const Clock* simulated_clock)
    : pool_(pool),
      slot_(std::move(slot)),
      simulated_clock_(simulated_clock),
      keys_(LaneKeys(slot_)),
      waiter_(pool->options()) {}

RedisJobQueue::~RedisJobQueue() = default;

absl::StatusOr<std::string> RedisJobQueue::Incarnation() {
  {
    MutexLock lock(&mu_);
    if (!incarnation_.empty()) return incarnation_;
  }
  ASSIGN_OR_RETURN(const Reply reply, pool_->Call({"GET", redis::IncarnationKey(slot_)}));
  if (reply.is_nil()) {
    return Error(absl::StatusCode::kUnavailable, "LANE_CLOSED",
                 absl::StrCat("lane ", slot_, " is not open: no scheduler has opened it yet"));
  }
  MutexLock lock(&mu_);
  incarnation_ = reply.text;
  return incarnation_;
}

void RedisJobQueue::ForgetIncarnation(const std::string& stale) {
  MutexLock lock(&mu_);
  if (incarnation_ != stale) return;
  incarnation_.clear();
  sessions_.clear();
}

absl::StatusOr<Reply> RedisJobQueue::CallOnce(absl::string_view function, const Arguments& rest) {
  ASSIGN_OR_RETURN(const std::string incarnation, Incarnation());
  const int64_t now = simulated_clock_ == nullptr ? 0 : absl::ToUnixMillis(simulated_clock_->Now());
  Arguments arguments = {absl::StrCat(now), incarnation};
  arguments.insert(arguments.end(), rest.begin(), rest.end());
  ASSIGN_OR_RETURN(Reply reply, redis::CallFunction(*pool_, function, keys_, arguments));
  const std::string code = CodeOf(reply);
  if (code.empty()) return BadReply(function);
  if (code == "INCARNATION") ForgetIncarnation(incarnation);
  return reply;
}

absl::StatusOr<Reply> RedisJobQueue::Call(absl::string_view function, const Arguments& rest) {
  ASSIGN_OR_RETURN(Reply reply, CallOnce(function, rest));
  if (CodeOf(reply) == "INCARNATION") {
    ASSIGN_OR_RETURN(reply, CallOnce(function, rest));
  }
  RETURN_IF_ERROR(StatusOfCode(CodeOf(reply), function));
  return reply;
}

absl::StatusOr<bool> RedisJobQueue::Enqueue(const store::v1::JobRecord& job, int priority) {
  RETURN_IF_ERROR(ValidateJob(job, priority));
  ASSIGN_OR_RETURN(const Reply reply,
                   Call("fl_lane_enqueue",
                        {job.job(), job.kind(), absl::StrCat(priority), job.SerializeAsString()}));
  if (reply.elements.size() != 4) return BadReply("fl_lane_enqueue");
  return reply.elements[3].AsInt() == 1;
}

absl::StatusOr<TickResponse> RedisJobQueue::Tick(const TickRequest& request) {
  RETURN_IF_ERROR(ValidateTick(request));
  bool is_new = false;
  {
    MutexLock lock(&mu_);
    is_new = sessions_.count(request.session) == 0;
  }
  ASSIGN_OR_RETURN(Reply reply, CallOnce("fl_lane_tick", TickArguments(request, is_new)));
  // A session that nobody has seen yet loses nothing by a new incarnation: it begins under it.
  if (CodeOf(reply) == "INCARNATION" && is_new) {
    ASSIGN_OR_RETURN(reply, CallOnce("fl_lane_tick", TickArguments(request, is_new)));
  }
  const std::string code = CodeOf(reply);
  if (code == "FENCED" || (code == "INCARNATION" && !is_new)) {
    MutexLock lock(&mu_);
    sessions_.erase(request.session);
    return Fenced(request);
  }
  RETURN_IF_ERROR(StatusOfCode(code, "fl_lane_tick"));
  {
    MutexLock lock(&mu_);
    sessions_.insert(request.session);
  }
  return ParseTick(reply);
}

absl::StatusOr<std::vector<Lease>> RedisJobQueue::Mine(absl::string_view session) {
  ASSIGN_OR_RETURN(const Reply reply, Call("fl_lane_mine", {std::string(session)}));
  std::vector<Lease> leases;
  for (size_t i = 3; i < reply.elements.size(); ++i) {
    ASSIGN_OR_RETURN(Lease lease, ParseLease(reply.elements[i]));
    leases.push_back(std::move(lease));
  }
  return leases;
}

absl::StatusOr<int> RedisJobQueue::Reap(int limit) {
  RETURN_IF_ERROR(ValidateLimit(limit, kMaxReap));
  ASSIGN_OR_RETURN(const Reply reply, Call("fl_lane_reap", {absl::StrCat(limit)}));
  if (reply.elements.size() != 4) return BadReply("fl_lane_reap");
  return static_cast<int>(reply.elements[3].AsInt());
}

absl::Status RedisJobQueue::Cancel(absl::string_view job) {
  return Call("fl_lane_cancel", {std::string(job)}).status();
}

absl::Status RedisJobQueue::Replay(absl::string_view job) {
  return Call("fl_lane_replay", {std::string(job)}).status();
}

absl::StatusOr<int> RedisJobQueue::Drain(absl::string_view session) {
  const std::string whom = session.empty() ? "*" : std::string(session);
  ASSIGN_OR_RETURN(const Reply reply, Call("fl_lane_drain", {whom, "1"}));
  if (reply.elements.size() != 4) return BadReply("fl_lane_drain");
  return static_cast<int>(reply.elements[3].AsInt());
}

absl::Status RedisJobQueue::Undrain(absl::string_view session) {
  const std::string whom = session.empty() ? "*" : std::string(session);
  return Call("fl_lane_drain", {whom, "0"}).status();
}

absl::StatusOr<store::v1::JobRecord> RedisJobQueue::Find(absl::string_view job) {
  ASSIGN_OR_RETURN(const Reply reply,
                   pool_->Call({"HGET", redis::JobRecordsKey(slot_), std::string(job)}));
  if (reply.is_nil()) {
    return Error(absl::StatusCode::kNotFound, "NOT_FOUND", absl::StrCat("there is no job ", job));
  }
  store::v1::JobRecord record;
  if (!record.ParseFromString(reply.text)) return BadReply("a job record");
  return record;
}

absl::StatusOr<std::vector<LaneStats>> RedisJobQueue::Stats() {
  ASSIGN_OR_RETURN(const Reply reply, pool_->Call({"HGETALL", redis::JobCountsKey(slot_)}));
  std::map<std::string, LaneStats> by_kind;
  for (size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
    const std::string& field = reply.elements[i].text;
    const size_t bar = field.find('|');
    if (bar == std::string::npos) return BadReply("the counts");
    LaneStats& stats = by_kind[field.substr(0, bar)];
    const std::string state = field.substr(bar + 1);
    const int64_t count = reply.elements[i + 1].AsInt();
    if (state == "ready") stats.ready = count;
    if (state == "delayed") stats.delayed = count;
    if (state == "leased") stats.leased = count;
    if (state == "done") stats.done = count;
    if (state == "dead") stats.dead = count;
  }
  std::vector<LaneStats> all;
  for (auto& [kind, stats] : by_kind) {
    stats.kind = kind;
    all.push_back(stats);
  }
  return all;
}

absl::StatusOr<std::vector<SessionView>> RedisJobQueue::Sessions(int limit) {
  RETURN_IF_ERROR(ValidateLimit(limit, kMaxPage));
  ASSIGN_OR_RETURN(const Reply reply, Call("fl_lane_sessions", {absl::StrCat(limit)}));
  std::vector<SessionView> views;
  for (size_t i = 3; i < reply.elements.size(); ++i) {
    const std::vector<Reply>& fields = reply.elements[i].elements;
    if (fields.size() != 5) return BadReply("fl_lane_sessions");
    SessionView view;
    view.session = fields[0].AsText();
    view.expire_time = absl::FromUnixMillis(fields[1].AsInt());
    view.description = fields[2].AsText();
    view.leased = static_cast<int32_t>(fields[3].AsInt());
    view.progress = fields[4].AsText();
    views.push_back(std::move(view));
  }
  return views;
}

absl::StatusOr<std::vector<DeadJob>> RedisJobQueue::Dead(int offset, int limit) {
  RETURN_IF_ERROR(ValidateLimit(limit, kMaxPage));
  if (offset < 0) return FieldError("offset", "must not be negative");
  ASSIGN_OR_RETURN(const Reply reply,
                   Call("fl_lane_dead", {absl::StrCat(offset), absl::StrCat(limit)}));
  std::vector<DeadJob> dead;
  for (size_t i = 3; i < reply.elements.size(); ++i) {
    const std::vector<Reply>& fields = reply.elements[i].elements;
    if (fields.size() != 5) return BadReply("fl_lane_dead");
    DeadJob one;
    one.job = fields[0].AsText();
    one.error = fields[1].AsText();
    one.attempts = static_cast<int32_t>(fields[2].AsInt());
    one.crashes = static_cast<int32_t>(fields[3].AsInt());
    one.dead_time = absl::FromUnixMillis(fields[4].AsInt());
    dead.push_back(std::move(one));
  }
  return dead;
}

absl::StatusOr<bool> RedisJobQueue::WaitForWork(absl::Duration timeout) {
  // BLPOP takes 0 for "for ever".
  const absl::Duration wait = std::max(timeout, absl::Milliseconds(1));
  const Arguments pop = {"BLPOP", redis::WakeKey(slot_),
                         absl::StrFormat("%.3f", absl::ToDoubleSeconds(wait))};
  MutexLock lock(&waiter_mu_);
  ASSIGN_OR_RETURN(const Reply reply, waiter_.BlockingCall(pop, wait));
  return !reply.is_nil();
}

}  // namespace fairlead::queue
