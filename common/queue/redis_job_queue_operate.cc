// Operators' calls of RedisJobQueue: questions, and what they change.
#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/queue/job_codec.h"
#include "common/queue/job_rules.h"
#include "common/queue/lane_wire.h"
#include "common/queue/redis_job_queue.h"

namespace fairlead::queue {
namespace {

using redis::Reply;

constexpr int kMaxPage = 1000;
constexpr size_t kStatsHead = 7;  // What stands before the classes.

double AsDouble(const Reply& reply) {
  double value = 0;
  return absl::SimpleAtod(reply.AsText(), &value) ? value : 0;
}

JobState StateOf(const std::string& name) {
  if (name == "ready") return JobState::kReady;
  if (name == "delayed") return JobState::kDelayed;
  if (name == "leased") return JobState::kLeased;
  return name == "done" ? JobState::kDone : JobState::kDead;
}

void ReadFlow(const std::vector<Reply>& fields, JobView* view) {
  view->flow_leased = fields[0].AsInt();
  view->flow_waiting = fields[1].AsInt();
  view->limits.weight = static_cast<int>(fields[2].AsInt());
  view->limits.leased = fields[3].AsInt();
  view->limits.per_second = AsDouble(fields[4]);
  view->limits.burst = fields[5].AsInt();
  view->limits.waiting = fields[6].AsInt();
  view->limits.paused = fields[7].AsInt() != 0;
  view->rate_spent = view->limits.per_second > 0 && AsDouble(fields[8]) < 1;
}

}  // namespace

absl::StatusOr<std::vector<absl::Status>> RedisJobQueue::ForEachDead(
    absl::string_view function, const std::vector<std::string>& jobs) {
  RETURN_IF_ERROR(ValidateIds(jobs));
  ASSIGN_OR_RETURN(const Reply reply, Call(function, jobs));
  if (reply.elements.size() != 4 || reply.elements[3].elements.size() != jobs.size()) {
    return BadReply(function);
  }
  std::vector<absl::Status> each;
  for (const Reply& code : reply.elements[3].elements) {
    each.push_back(StatusOfCode(code.AsText(), function));
  }
  return each;
}

absl::StatusOr<std::vector<absl::Status>> RedisJobQueue::ReplayAll(
    const std::vector<std::string>& jobs) {
  return ForEachDead("fl_lane3_replay", jobs);
}

absl::StatusOr<std::vector<absl::Status>> RedisJobQueue::Purge(
    const std::vector<std::string>& jobs) {
  return ForEachDead("fl_lane3_purge", jobs);
}

absl::StatusOr<int> RedisJobQueue::SetDrain(absl::string_view session, bool drain) {
  const std::string whom = session.empty() ? "*" : std::string(session);
  ASSIGN_OR_RETURN(const Reply reply, Call("fl_lane3_drain", {whom, drain ? "1" : "0"}));
  if (reply.elements.size() != 4) return BadReply("fl_lane3_drain");
  return static_cast<int>(reply.elements[3].AsInt());
}

absl::Status RedisJobQueue::SetLimits(absl::string_view flow, const FlowLimits& limits) {
  RETURN_IF_ERROR(ValidateLimits(flow, limits));
  return Call("fl_lane3_limit",
              {std::string(flow), absl::StrCat(limits.weight), absl::StrCat(limits.leased),
               absl::StrFormat("%.17g", limits.per_second), absl::StrCat(limits.burst),
               absl::StrCat(limits.waiting), limits.paused ? "1" : "0"})
      .status();
}

absl::Status RedisJobQueue::SetRetention(const Retention& retention) {
  RETURN_IF_ERROR(ValidateRetention(retention));
  return Call("fl_lane3_keep", {absl::StrCat(retention.count),
                                absl::StrCat(absl::ToInt64Milliseconds(retention.age)),
                                absl::StrCat(retention.result_bytes)})
      .status();
}

absl::StatusOr<store::v1::JobRecord> RedisJobQueue::Find(absl::string_view job) {
  ASSIGN_OR_RETURN(const Reply reply, Call("fl_lane3_find", {std::string(job)}));
  if (reply.elements.size() != 5) return BadReply("fl_lane3_find");
  ASSIGN_OR_RETURN(StoredJob stored,
                   DecodeJob(job, reply.elements[3].text, reply.elements[4].text));
  return std::move(stored.record);
}

absl::StatusOr<JobView> RedisJobQueue::Inspect(absl::string_view job) {
  ASSIGN_OR_RETURN(const Reply reply, Call("fl_lane3_inspect", {std::string(job)}));
  const std::vector<Reply>& fields = reply.elements;
  if (fields.size() != 12) return BadReply("fl_lane3_inspect");
  JobView view;
  view.state = StateOf(fields[3].AsText());
  view.when = absl::FromUnixMillis(fields[8].AsInt());
  if (view.state == JobState::kDone) {
    if (!view.result.ParseFromString(fields[5].text)) return BadReply("fl_lane3_inspect");
    return view;
  }
  view.job_class = fields[4].AsText();
  ASSIGN_OR_RETURN(StoredJob stored, DecodeJob(job, view.job_class, fields[5].text));
  view.job = std::move(stored.record);
  view.priority = stored.priority;
  view.deadline = stored.deadline;
  view.attempts = stored.attempts;
  view.crashes = stored.crashes;
  view.flow = std::move(stored.flow);
  view.error = fields[6].AsText();
  view.progress = fields[7].AsText();
  view.session = fields[9].AsText();
  if (fields[10].elements.size() != 9) return BadReply("fl_lane3_inspect");
  ReadFlow(fields[10].elements, &view);
  view.class_ready = fields[11].AsInt();
  return view;
}

absl::StatusOr<std::vector<LaneStats>> RedisJobQueue::Stats() {
  ASSIGN_OR_RETURN(const Reply reply, Call("fl_lane3_stats", {}));
  std::map<std::string, LaneStats> by_kind;
  for (size_t i = kStatsHead; i < reply.elements.size(); ++i) {
    const std::vector<Reply>& fields = reply.elements[i].elements;
    if (fields.size() != 7) return BadReply("fl_lane3_stats");
    LaneStats& stats = by_kind[std::string(KindOf(fields[0].text))];
    stats.ready += fields[1].AsInt();
    stats.delayed += fields[2].AsInt();
    stats.leased += fields[3].AsInt();
    stats.done += fields[4].AsInt();
    stats.dead += fields[5].AsInt();
    stats.wait = std::max(stats.wait, absl::Milliseconds(fields[6].AsInt()));
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
  ASSIGN_OR_RETURN(const Reply reply, Call("fl_lane3_sessions", {absl::StrCat(limit)}));
  std::vector<SessionView> views;
  for (size_t i = 3; i < reply.elements.size(); ++i) {
    const std::vector<Reply>& fields = reply.elements[i].elements;
    if (fields.size() != 5) return BadReply("fl_lane3_sessions");
    SessionView view;
    view.session = fields[0].AsText();
    view.expire_time = absl::FromUnixMillis(fields[1].AsInt());
    ReadDescription(fields[2].AsText(), &view);
    view.leased = static_cast<int32_t>(fields[3].AsInt());
    view.progress = fields[4].AsText();
    views.push_back(std::move(view));
  }
  return views;
}

absl::StatusOr<DeadPage> RedisJobQueue::SearchDead(const DeadQuery& query) {
  RETURN_IF_ERROR(ValidateLimit(query.limit, kMaxPage));
  if (query.offset < 0) return FieldError("offset", "must not be negative");
  ASSIGN_OR_RETURN(const Reply reply,
                   Call("fl_lane3_dead", {absl::StrCat(query.offset), absl::StrCat(query.limit),
                                          query.text, query.kind}));
  if (reply.elements.size() < 4) return BadReply("fl_lane3_dead");
  DeadPage page;
  page.next = static_cast<int>(reply.elements[3].AsInt());
  for (size_t i = 4; i < reply.elements.size(); ++i) {
    const std::vector<Reply>& fields = reply.elements[i].elements;
    if (fields.size() != 7) return BadReply("fl_lane3_dead");
    DeadJob one;
    one.job = fields[0].AsText();
    one.error = fields[1].AsText();
    one.attempts = static_cast<int32_t>(fields[2].AsInt());
    one.crashes = static_cast<int32_t>(fields[3].AsInt());
    one.dead_time = absl::FromUnixMillis(fields[4].AsInt());
    one.kind = std::string(KindOf(fields[5].text));
    one.flow = fields[6].AsText();
    page.jobs.push_back(std::move(one));
  }
  return page;
}

}  // namespace fairlead::queue
