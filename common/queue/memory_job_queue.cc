#include "common/queue/memory_job_queue.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/queue/job_rules.h"

namespace fairlead::queue {
namespace {

constexpr absl::Duration kBackoffBase = absl::Seconds(2);
constexpr absl::Duration kBackoffCap = absl::Minutes(5);
constexpr int kTokenBytes = 16;
constexpr int kMaxReap = 100;
constexpr int kMaxPage = 1000;
constexpr int kPromote = 100;

absl::Status NoSuch(absl::string_view what, absl::string_view id) {
  return Error(absl::StatusCode::kNotFound, "NOT_FOUND",
               absl::StrCat("there is no ", what, " ", id));
}

store::v1::JobFinished MakeFinished(const store::v1::JobRecord& record, int32_t attempts,
                                    int32_t crashes) {
  store::v1::JobFinished finished;
  *finished.mutable_job() = record;
  finished.set_attempts(attempts);
  finished.set_crashes(crashes);
  return finished;
}

}  // namespace

MemoryJobQueue::MemoryJobQueue(const Clock* clock, uint64_t seed,
                               std::function<void(const store::v1::JobFinished&)> on_finished)
    : clock_(clock), on_finished_(std::move(on_finished)), random_(seed) {}

void MemoryJobQueue::Tell(const Finished& finished) {
  if (on_finished_ == nullptr) return;
  for (const store::v1::JobFinished& one : finished) on_finished_(one);
}

absl::StatusOr<bool> MemoryJobQueue::Enqueue(const store::v1::JobRecord& job, int priority) {
  RETURN_IF_ERROR(ValidateJob(job, priority));
  MutexLock lock(&mu_);
  Job fresh;
  fresh.record = job;
  fresh.priority = priority;
  fresh.enqueue_time = clock_->Now();
  return jobs_.emplace(job.job(), std::move(fresh)).second;
}

MemoryJobQueue::Job* MemoryJobQueue::Live(const std::string& session, const std::string& token) {
  const auto& grants = sessions_.at(session).grants;
  const auto grant = grants.find(token);
  if (grant == grants.end()) return nullptr;
  Job& job = jobs_.at(grant->second);
  const bool live = job.state == State::kLeased && job.token == token && job.session == session;
  return live ? &job : nullptr;
}

MemoryJobQueue::Job* MemoryJobQueue::Release(const std::string& session, const std::string& token) {
  Job* job = Live(session, token);
  sessions_.at(session).grants.erase(token);
  return job;
}

void MemoryJobQueue::Bury(Job* job, const std::string& error, absl::Time now, Finished* finished) {
  job->state = State::kDead;
  job->error = error;
  job->dead_time = now;
  finished->push_back(MakeFinished(job->record, job->attempts, job->crashes));
  finished->back().set_dead(true);
  finished->back().set_error(error);
}

void MemoryJobQueue::Fail(Job* job, const Nack& nack, absl::Time now, Finished* finished) {
  if (nack.preempted) {
    job->state = State::kReady;
    job->head = true;
    return;
  }
  job->attempts += 1;
  if (job->attempts >= kMaxAttempts) {
    Bury(job, nack.error, now, finished);
    return;
  }
  const absl::Duration bound = std::min(kBackoffCap, kBackoffBase * std::exp2(job->attempts - 1));
  const double jitter = std::uniform_real_distribution<double>(0, 1)(random_);
  job->state = State::kDelayed;
  job->error = nack.error;
  job->due = now + bound * jitter;
}

void MemoryJobQueue::Settle(const TickRequest& request, absl::Time now, TickResponse* response,
                            Finished* finished) {
  for (const ProgressNote& note : request.progress) {
    Job* job = Live(request.session, note.token);
    if (job == nullptr) {
      response->lost.push_back(note.token);
    } else {
      job->note = note.text;
    }
  }
  for (const Ack& ack : request.acks) {
    Job* job = Release(request.session, ack.token);
    if (job == nullptr) {
      response->lost.push_back(ack.token);
      continue;
    }
    job->state = State::kDone;
    finished->push_back(MakeFinished(job->record, job->attempts, job->crashes));
    *finished->back().mutable_result() = ack.result;
  }
  for (const Nack& nack : request.nacks) {
    Job* job = Release(request.session, nack.token);
    if (job == nullptr) {
      response->lost.push_back(nack.token);
    } else {
      Fail(job, nack, now, finished);
    }
  }
}

void MemoryJobQueue::LeaseJobs(const TickRequest& request, TickResponse* response) {
  Session& session = sessions_.at(request.session);
  std::vector<Job*> ready;
  for (auto& [id, job] : jobs_) {
    const bool wanted = std::find(request.kinds.begin(), request.kinds.end(), job.record.kind()) !=
                        request.kinds.end();
    if (wanted && job.state == State::kReady) ready.push_back(&job);
  }
  std::sort(ready.begin(), ready.end(), [](const Job* a, const Job* b) {
    return std::make_tuple(-a->priority, !a->head, a->enqueue_time, a->record.job()) <
           std::make_tuple(-b->priority, !b->head, b->enqueue_time, b->record.job());
  });
  const int room = std::min(request.want, kMaxHeld - static_cast<int>(session.grants.size()));
  for (Job* job : ready) {
    if (static_cast<int>(response->leases.size()) >= room) break;
    job->state = State::kLeased;
    job->session = request.session;
    job->token = RandomHex(kTokenBytes);
    session.grants[job->token] = job->record.job();
    response->leases.push_back({job->record, job->token, job->attempts, job->crashes});
  }
}

int MemoryJobQueue::Promote(absl::Time now, int limit) {
  int promoted = 0;
  for (auto& [id, job] : jobs_) {
    if (promoted >= limit) break;
    if (job.state != State::kDelayed || job.due > now) continue;
    job.state = State::kReady;
    ++promoted;
  }
  return promoted;
}

absl::StatusOr<TickResponse> MemoryJobQueue::Tick(const TickRequest& request) {
  RETURN_IF_ERROR(ValidateTick(request));
  TickResponse response;
  Finished finished;
  {
    MutexLock lock(&mu_);
    const absl::Time now = clock_->Now();
    const auto known = sessions_.find(request.session);
    const bool expired = known != sessions_.end() && known->second.expiry <= now;
    if (expired || ended_sessions_.count(request.session) > 0) {
      response.fenced = true;
      for (const Ack& ack : request.acks) response.lost.push_back(ack.token);
      for (const Nack& nack : request.nacks) response.lost.push_back(nack.token);
      for (const ProgressNote& note : request.progress) response.lost.push_back(note.token);
      return response;
    }
    Session& session = sessions_[request.session];
    session.expiry = now + request.lease;
    session.description = request.description;
    Settle(request, now, &response, &finished);
    for (const auto& [token, job] : session.grants) {
      if (Live(request.session, token) == nullptr) response.cancelled.push_back(token);
    }
    response.drain = drained_.count("") > 0 || drained_.count(request.session) > 0;
    Promote(now, kPromote);
    if (!response.drain) LeaseJobs(request, &response);
  }
  Tell(finished);
  return response;
}

absl::StatusOr<std::vector<Lease>> MemoryJobQueue::Mine(absl::string_view session) {
  MutexLock lock(&mu_);
  std::vector<Lease> leases;
  const auto found = sessions_.find(std::string(session));
  if (found == sessions_.end() || found->second.expiry <= clock_->Now()) return leases;
  for (const auto& [token, id] : found->second.grants) {
    const Job* job = Live(found->first, token);
    if (job != nullptr) leases.push_back({job->record, token, job->attempts, job->crashes});
  }
  return leases;
}

void MemoryJobQueue::Expire(const std::string& session, absl::Time now, Finished* finished) {
  for (const auto& [token, id] : sessions_.at(session).grants) {
    Job* job = Live(session, token);
    if (job == nullptr) continue;
    job->crashes += 1;
    if (job->crashes >= kMaxCrashes) {
      const std::string last = job->error.empty() ? "" : absl::StrCat("; last error: ", job->error);
      Bury(job, absl::StrCat("its worker was lost ", job->crashes, " times", last), now, finished);
    } else {
      job->state = State::kReady;
      job->head = true;
    }
  }
  sessions_.erase(session);
  drained_.erase(session);
  ended_sessions_.insert(session);
}

absl::StatusOr<int> MemoryJobQueue::Reap(int limit) {
  RETURN_IF_ERROR(ValidateLimit(limit, kMaxReap));
  Finished finished;
  int moved = 0;
  {
    MutexLock lock(&mu_);
    const absl::Time now = clock_->Now();
    moved = Promote(now, limit);
    std::vector<std::string> expired;
    for (const auto& [id, session] : sessions_) {
      if (session.expiry <= now && static_cast<int>(expired.size()) < limit) expired.push_back(id);
    }
    for (const std::string& id : expired) Expire(id, now, &finished);
    moved += static_cast<int>(expired.size());
  }
  Tell(finished);
  return moved;
}

absl::Status MemoryJobQueue::Cancel(absl::string_view job) {
  Finished finished;
  {
    MutexLock lock(&mu_);
    const auto found = jobs_.find(std::string(job));
    if (found == jobs_.end()) return NoSuch("job", job);
    if (found->second.state == State::kDone || found->second.state == State::kDead) {
      return Error(absl::StatusCode::kFailedPrecondition, "STATE_TERMINAL",
                   absl::StrCat("job ", job, " has ended"));
    }
    Bury(&found->second, "cancelled", clock_->Now(), &finished);
  }
  Tell(finished);
  return absl::OkStatus();
}

absl::Status MemoryJobQueue::Replay(absl::string_view job) {
  MutexLock lock(&mu_);
  const auto found = jobs_.find(std::string(job));
  if (found == jobs_.end()) return NoSuch("job", job);
  if (found->second.state != State::kDead) {
    return Error(absl::StatusCode::kFailedPrecondition, "STATE_NOT_DEAD",
                 absl::StrCat("job ", job, " is not dead"));
  }
  Job fresh;
  fresh.record = found->second.record;
  fresh.priority = found->second.priority;
  fresh.enqueue_time = clock_->Now();
  found->second = std::move(fresh);
  return absl::OkStatus();
}

absl::StatusOr<int> MemoryJobQueue::Drain(absl::string_view session) {
  MutexLock lock(&mu_);
  const absl::Time now = clock_->Now();
  int asked = 0;
  for (const auto& [id, one] : sessions_) {
    if (one.expiry > now && (session.empty() || id == session)) ++asked;
  }
  if (!session.empty() && asked == 0) return NoSuch("session", session);
  drained_.emplace(session);
  return asked;
}

absl::Status MemoryJobQueue::Undrain(absl::string_view session) {
  MutexLock lock(&mu_);
  drained_.erase(std::string(session));
  return absl::OkStatus();
}

absl::StatusOr<store::v1::JobRecord> MemoryJobQueue::Find(absl::string_view job) {
  MutexLock lock(&mu_);
  const auto found = jobs_.find(std::string(job));
  if (found == jobs_.end() || found->second.state == State::kDone) return NoSuch("job", job);
  return found->second.record;
}

absl::StatusOr<std::vector<LaneStats>> MemoryJobQueue::Stats() {
  MutexLock lock(&mu_);
  std::map<std::string, LaneStats> by_kind;
  for (const auto& [id, job] : jobs_) {
    LaneStats& stats = by_kind[job.record.kind()];
    stats.ready += job.state == State::kReady ? 1 : 0;
    stats.delayed += job.state == State::kDelayed ? 1 : 0;
    stats.leased += job.state == State::kLeased ? 1 : 0;
    stats.done += job.state == State::kDone ? 1 : 0;
    stats.dead += job.state == State::kDead ? 1 : 0;
  }
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
    view.leased = static_cast<int32_t>(session.grants.size());
    if (!session.grants.empty()) view.progress = jobs_.at(session.grants.begin()->second).note;
    views.push_back(std::move(view));
  }
  return views;
}

absl::StatusOr<std::vector<DeadJob>> MemoryJobQueue::Dead(int offset, int limit) {
  RETURN_IF_ERROR(ValidateLimit(limit, kMaxPage));
  if (offset < 0) return FieldError("offset", "must not be negative");
  MutexLock lock(&mu_);
  std::vector<DeadJob> dead;
  for (const auto& [id, job] : jobs_) {
    if (job.state != State::kDead) continue;
    dead.push_back({id, job.error, job.attempts, job.crashes, job.dead_time});
  }
  std::sort(dead.begin(), dead.end(), [](const DeadJob& a, const DeadJob& b) {
    return std::tie(b.dead_time, b.job) < std::tie(a.dead_time, a.job);
  });
  const size_t first = std::min<size_t>(offset, dead.size());
  const size_t last = std::min<size_t>(first + limit, dead.size());
  return std::vector<DeadJob>(dead.begin() + first, dead.begin() + last);
}

}  // namespace fairlead::queue
