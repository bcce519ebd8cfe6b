// Operators' calls of MemoryJobQueue: questions, and what they change.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/queue/job_codec.h"
#include "common/queue/job_rules.h"
#include "common/queue/memory_job_queue.h"

namespace fairlead::queue {
namespace {

constexpr int kMaxPage = 1000;

absl::Status NoSuch(absl::string_view what, absl::string_view id) {
  return Error(absl::StatusCode::kNotFound, "NOT_FOUND",
               absl::StrCat("there is no ", what, " ", id));
}

}  // namespace

absl::Status MemoryJobQueue::Cancel(absl::string_view id) {
  Finished finished;
  {
    MutexLock lock(&mu_);
    now_ = clock_->Now();
    const auto found = jobs_.find(std::string(id));
    if (found == jobs_.end()) return NoSuch("job", id);
    Job& job = found->second;
    if (job.state == JobState::kDone || job.state == JobState::kDead) {
      return Error(absl::StatusCode::kFailedPrecondition, "STATE_TERMINAL",
                   absl::StrCat("job ", id, " has ended"));
    }
    if (job.state == JobState::kLeased) {
      HolderOf(job.record.job()).second->cancelled = true;
      flows_.Release(job.flow);
    } else {
      flows_.flow(job.flow).waiting -= 1;
    }
    if (job.state == JobState::kDelayed) {
      flows_.due().erase({absl::ToUnixMillis(job.due), absl::StrCat("j", id)});
    }
    if (job.state == JobState::kReady) {
      flows_.Remove(job.job_class, job.flow, job.priority, job.deadline, job.record.job());
    }
    Bury(&job, "cancelled", &finished);
  }
  Tell(finished);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<absl::Status>> MemoryJobQueue::ForEachDead(
    const std::vector<std::string>& jobs, const std::function<void(Job*)>& change) {
  RETURN_IF_ERROR(ValidateIds(jobs));
  std::vector<absl::Status> each;
  std::set<std::string> seen;
  for (const std::string& id : jobs) {
    const auto found = jobs_.find(id);
    if (found == jobs_.end() || !seen.insert(id).second) {
      each.push_back(NoSuch("job", id));
    } else if (found->second.state != JobState::kDead) {
      each.push_back(Error(absl::StatusCode::kFailedPrecondition, "STATE_NOT_DEAD",
                           absl::StrCat("job ", id, " is not dead")));
    } else {
      dead_.erase({found->second.end, id});
      change(&found->second);
      each.push_back(absl::OkStatus());
    }
  }
  return each;
}

absl::StatusOr<std::vector<absl::Status>> MemoryJobQueue::ReplayAll(
    const std::vector<std::string>& jobs) {
  MutexLock lock(&mu_);
  now_ = clock_->Now();
  return ForEachDead(jobs, [this](Job* job) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    job->attempts = 0;
    job->crashes = 0;
    job->error.clear();
    job->note.clear();
    ToReady(job, MemoryFlows::End::kTail);
    flows_.flow(job->flow).waiting += 1;
    ++live_;
  });
}

absl::StatusOr<std::vector<absl::Status>> MemoryJobQueue::Purge(
    const std::vector<std::string>& jobs) {
  MutexLock lock(&mu_);
  return ForEachDead(jobs, [this](Job* job) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    Forget(std::string(job->record.job()));
  });
}

absl::StatusOr<int> MemoryJobQueue::SetDrain(absl::string_view session, bool drain) {
  MutexLock lock(&mu_);
  const absl::Time now = clock_->Now();
  if (session.empty()) drain_all_ = drain;
  int asked = 0;
  for (auto& [id, one] : sessions_) {
    if (one.expiry <= now || (!session.empty() && id != session)) continue;
    if (!session.empty()) one.drain = drain;
    ++asked;
  }
  if (!drain) return 0;
  if (!session.empty() && asked == 0) return NoSuch("session", session);
  return asked;
}

absl::Status MemoryJobQueue::SetLimits(absl::string_view flow, const FlowLimits& limits) {
  RETURN_IF_ERROR(ValidateLimits(flow, limits));
  MutexLock lock(&mu_);
  flows_.SetLimits(std::string(flow), limits, absl::ToUnixMillis(clock_->Now()));
  return absl::OkStatus();
}

absl::Status MemoryJobQueue::SetRetention(const Retention& retention) {
  RETURN_IF_ERROR(ValidateRetention(retention));
  MutexLock lock(&mu_);
  retention_ = retention;
  return absl::OkStatus();
}

absl::StatusOr<store::v1::JobRecord> MemoryJobQueue::Find(absl::string_view job) {
  MutexLock lock(&mu_);
  const auto found = jobs_.find(std::string(job));
  if (found == jobs_.end() || found->second.state == JobState::kDone) return NoSuch("job", job);
  return found->second.record;
}

absl::StatusOr<JobView> MemoryJobQueue::Inspect(absl::string_view id) {
  MutexLock lock(&mu_);
  const auto found = jobs_.find(std::string(id));
  if (found == jobs_.end()) return NoSuch("job", id);
  const Job& job = found->second;
  JobView view;
  view.state = job.state;
  view.when = job.state == JobState::kDelayed ? job.due : job.end;
  if (job.state == JobState::kDone) {
    view.result = job.result;
    return view;
  }
  view.job = job.record;
  view.priority = job.priority;
  view.deadline = job.deadline;
  view.attempts = job.attempts;
  view.crashes = job.crashes;
  view.error = job.error;
  view.progress = job.note;
  view.job_class = ClassOf(job.record);
  view.flow = job.flow;
  if (job.state == JobState::kLeased) view.session = HolderOf(job.record.job()).first;
  view.rate_spent = flows_.RateSpent(job.flow, absl::ToUnixMillis(clock_->Now()));
  const MemoryFlows::Flow& flow = flows_.flow(job.flow);
  view.limits = flow.limits;
  view.flow_leased = flow.leased;
  view.flow_waiting = flow.waiting;
  for (const auto& [other, one] : jobs_) {
    view.class_ready += one.state == JobState::kReady && one.job_class == job.job_class ? 1 : 0;
  }
  return view;
}

absl::StatusOr<std::vector<LaneStats>> MemoryJobQueue::Stats() {
  MutexLock lock(&mu_);
  std::map<std::string, LaneStats> by_kind;
  std::set<int> waiting;  // Classes of ready jobs.
  for (const auto& [id, job] : jobs_) {
    LaneStats& stats = by_kind[job.record.kind()];
    if (job.state == JobState::kReady) waiting.insert(job.job_class);
    stats.ready += job.state == JobState::kReady ? 1 : 0;
    stats.delayed += job.state == JobState::kDelayed ? 1 : 0;
    stats.leased += job.state == JobState::kLeased ? 1 : 0;
    stats.dead += job.state == JobState::kDead ? 1 : 0;
  }
  for (int n = 1; n <= flows_.class_count(); ++n) {
    LaneStats& stats = by_kind[std::string(KindOf(flows_.ClassName(n)))];
    const int64_t wait = flows_.Wait(n, absl::ToUnixMillis(clock_->Now()));
    if (waiting.count(n) > 0) stats.wait = std::max(stats.wait, absl::Milliseconds(wait));
  }
  for (const auto& [kind, done] : done_by_kind_) by_kind[kind].done = done;
  std::vector<LaneStats> all;
  for (auto& [kind, stats] : by_kind) {
    stats.kind = kind;
    all.push_back(stats);
  }
  return all;
}

absl::StatusOr<std::vector<SessionView>> MemoryJobQueue::Sessions(int limit) {
  RETURN_IF_ERROR(ValidateLimit(limit, kMaxPage));
  MutexLock lock(&mu_);
  std::vector<SessionView> views;
  for (const auto& [id, session] : sessions_) {
    if (static_cast<int>(views.size()) >= limit) break;
    if (session.expiry <= clock_->Now()) continue;
    SessionView view{id, session.description, session.expiry};
    view.leased = session.held;
    view.kinds = session.kinds;
    view.able = session.able;
    if (!session.grants.empty()) {
      for (const Held& entry : session.grants.front().entries) {
        const auto job = jobs_.find(entry.job);
        if (job == jobs_.end() || entry.cancelled || !view.progress.empty()) continue;
        view.progress = job->second.note;
      }
    }
    views.push_back(std::move(view));
  }
  return views;
}

absl::StatusOr<DeadPage> MemoryJobQueue::SearchDead(const DeadQuery& query) {
  RETURN_IF_ERROR(ValidateLimit(query.limit, kMaxPage));
  if (query.offset < 0) return FieldError("offset", "must not be negative");
  MutexLock lock(&mu_);
  DeadPage page;
  int at = 0;
  for (auto one = dead_.rbegin(); one != dead_.rend(); ++one, ++at) {
    if (at < query.offset) continue;
    const Job& job = jobs_.at(one->second);
    const std::string& id = one->second;
    const bool matches = absl::StrContains(id, query.text) ||
                         absl::StrContains(job.error, query.text) ||
                         absl::StrContains(job.flow, query.text);
    if (!matches || (!query.kind.empty() && job.record.kind() != query.kind)) continue;
    if (static_cast<int>(page.jobs.size()) == query.limit) {
      page.next = at;
      break;
    }
    page.jobs.push_back(
        {id, job.error, job.attempts, job.crashes, job.end, job.record.kind(), job.flow});
  }
  return page;
}

}  // namespace fairlead::queue
