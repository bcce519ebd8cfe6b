#include "common/queue/memory_job_queue.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/queue/job_codec.h"
#include "common/queue/job_rules.h"

namespace fairlead::queue {
namespace {

constexpr absl::Duration kBackoffBase = absl::Seconds(2);
constexpr absl::Duration kBackoffCap = absl::Minutes(5);
constexpr int kGrantBytes = 8;
constexpr size_t kMaxGrants = 512;
constexpr int kMaxReap = 100;
constexpr int kPromote = 100;
constexpr int64_t kMaxLive = 1'000'000;

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

void MemoryJobQueue::ToReady(Job* job, MemoryFlows::End end) {
  job->state = JobState::kReady;
  flows_.Push(job->job_class, job->flow, job->priority, job->deadline, job->record.job(), end,
              Now());
}

absl::StatusOr<std::vector<bool>> MemoryJobQueue::EnqueueBatch(const std::vector<NewJob>& jobs) {
  RETURN_IF_ERROR(ValidateJobs(jobs));
  MutexLock lock(&mu_);
  now_ = clock_->Now();
  std::vector<bool> added;
  std::set<std::string> fresh;
  std::map<std::string, int64_t> waiting;
  for (const NewJob& job : jobs) {
    const std::string& id = job.record.job();
    added.push_back(jobs_.count(id) == 0 && fresh.insert(id).second);
    if (added.back()) ++waiting[FlowOf(job.record)];
  }
  if (live_ + static_cast<int64_t>(fresh.size()) > kMaxLive) {
    return Error(absl::StatusCode::kResourceExhausted, "QUEUE_FULL", "too many jobs");
  }
  for (const auto& [name, more] : waiting) {
    const MemoryFlows::Flow& flow = flows_.flow(name);
    if (flow.limits.waiting > 0 && flow.waiting + more > flow.limits.waiting) {
      return Error(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
                   "the flow has as many waiting jobs as it may");
    }
  }
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (!added[i]) continue;
    Job& job = jobs_[jobs[i].record.job()];
    job.record = jobs[i].record;
    job.priority = jobs[i].priority;
    job.deadline = jobs[i].deadline;
    job.job_class = flows_.ClassNumber(ClassOf(job.record));
    job.flow = FlowOf(job.record);
    flows_.flow(job.flow).waiting += 1;
    if (absl::ToUnixMillis(jobs[i].start) > Now()) {
      job.state = JobState::kDelayed;
      job.due = jobs[i].start;
      flows_.due().emplace(absl::ToUnixMillis(job.due), absl::StrCat("j", job.record.job()));
    } else {
      ToReady(&job, MemoryFlows::End::kTail);
    }
  }
  live_ += static_cast<int64_t>(fresh.size());
  return added;
}

MemoryJobQueue::Held* MemoryJobQueue::PlaceOf(Session* session, absl::string_view token) {
  const size_t dash = token.rfind('-');
  size_t index = 0;
  if (dash == absl::string_view::npos || !absl::SimpleAtoi(token.substr(dash + 1), &index)) {
    return nullptr;
  }
  for (Grant& grant : session->grants) {
    if (grant.name != token.substr(0, dash) || index < 1 || index > grant.entries.size()) continue;
    Held& entry = grant.entries[index - 1];
    return entry.job.empty() ? nullptr : &entry;
  }
  return nullptr;
}

std::pair<std::string, MemoryJobQueue::Held*> MemoryJobQueue::HolderOf(const std::string& job) {
  for (auto& [id, session] : sessions_) {
    for (Grant& grant : session.grants) {
      for (Held& entry : grant.entries) {
        if (entry.job == job && !entry.cancelled) return {id, &entry};
      }
    }
  }
  return {"", nullptr};
}

MemoryJobQueue::Job* MemoryJobQueue::Release(Session* session, Held* entry) {
  Job* job = entry->cancelled ? nullptr : &jobs_.at(entry->job);
  entry->job.clear();
  session->held -= 1;
  if (job != nullptr) flows_.Release(job->flow);
  return job;
}

void MemoryJobQueue::Forget(const std::string& job) { jobs_.erase(job); }

void MemoryJobQueue::ForgetDone(bool by_age) {
  const auto drop = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (const std::string& id : done_.front().second) Forget(id);
    done_kept_ -= static_cast<int64_t>(done_.front().second.size());
    done_.pop_front();
  };
  if (!by_age) {
    if (done_kept_ >= retention_.count + kMaxBatch) drop();
    return;
  }
  for (int i = 0; i < kMaxBatch && !done_.empty(); ++i) {
    if (done_.front().first + retention_.age > now_) return;
    drop();
  }
}

void MemoryJobQueue::Bury(Job* job, const std::string& error, Finished* finished) {
  job->state = JobState::kDead;
  job->error = error;
  job->end = now_;
  --live_;
  dead_.emplace(now_, job->record.job());
  finished->push_back(MakeFinished(job->record, job->attempts, job->crashes));
  finished->back().set_dead(true);
  finished->back().set_error(error);
  if (static_cast<int64_t>(dead_.size()) > retention_.count) {
    const std::string oldest = dead_.begin()->second;
    dead_.erase(dead_.begin());
    if (oldest != job->record.job()) Forget(oldest);
  }
}

void MemoryJobQueue::Complete(Job* job, const store::v1::JobResult& result, Finished* finished) {
  finished->push_back(MakeFinished(job->record, job->attempts, job->crashes));
  *finished->back().mutable_result() = result;
  job->state = JobState::kDone;
  job->end = now_;
  --live_;
  done_by_kind_[job->record.kind()] += 1;
  completing_.push_back(job->record.job());
  if (static_cast<int64_t>(result.ByteSizeLong()) <= retention_.result_bytes) job->result = result;
}

void MemoryJobQueue::Fail(Job* job, const Nack& nack, Finished* finished) {
  if (nack.preempted) {
    ToReady(job, MemoryFlows::End::kHead);
  } else {
    job->attempts += 1;
    if (job->attempts >= kMaxAttempts) {
      Bury(job, nack.error, finished);
      return;
    }
    const absl::Duration bound = std::min(kBackoffCap, kBackoffBase * std::exp2(job->attempts - 1));
    const double jitter = nack.jitter.has_value()
                              ? *nack.jitter
                              : std::uniform_real_distribution<double>(0, 1)(random_);
    job->state = JobState::kDelayed;
    job->error = nack.error;
    // Later than now: what fails is not given out again by the same call.
    job->due =
        now_ + std::max(absl::Milliseconds(1), absl::Floor(bound * jitter, absl::Milliseconds(1)));
    flows_.due().emplace(absl::ToUnixMillis(job->due), absl::StrCat("j", job->record.job()));
  }
  job->note.clear();
  flows_.flow(job->flow).waiting += 1;
}

std::vector<std::string> MemoryJobQueue::Settle(const TickRequest& request, Session* session,
                                                Finished* finished) {
  std::vector<std::string> lost;
  for (const ProgressNote& note : request.progress) {
    const Held* entry = PlaceOf(session, note.token);
    if (entry == nullptr || entry->cancelled) {
      lost.push_back(note.token);
    } else {
      jobs_.at(entry->job).note = note.text;
    }
  }
  for (const Ack& ack : request.acks) {
    Held* entry = PlaceOf(session, ack.token);
    Job* job = entry == nullptr ? nullptr : Release(session, entry);
    if (job == nullptr) {
      lost.push_back(ack.token);
    } else {
      Complete(job, ack.result, finished);
    }
  }
  if (!completing_.empty()) {
    done_kept_ += static_cast<int64_t>(completing_.size());
    done_.emplace_back(now_, std::exchange(completing_, {}));
    ForgetDone(/*by_age=*/false);
  }
  for (const Nack& nack : request.nacks) {
    Held* entry = PlaceOf(session, nack.token);
    Job* job = entry == nullptr ? nullptr : Release(session, entry);
    if (job == nullptr) {
      lost.push_back(nack.token);
    } else {
      Fail(job, nack, finished);
    }
  }
  return lost;
}

void MemoryJobQueue::LeaseJobs(const TickRequest& request, Session* session,
                               TickResponse* response) {
  if (session->grants.size() >= kMaxGrants) return;
  std::vector<int> classes;
  for (const std::string& kind : request.kinds) {
    if (const int n = flows_.FindClass(kind); n > 0) classes.push_back(n);
  }
  for (int n = 1; n <= flows_.class_count(); ++n) {
    const std::string& name = flows_.ClassName(n);
    if (KindOf(name) != name && CanRun(name, request.kinds, request.able)) classes.push_back(n);
  }
  Grant grant{RandomHex(kGrantBytes), {}};
  const int want = std::min(request.want, kMaxHeld - session->held);
  while (static_cast<int>(grant.entries.size()) < want) {
    const auto chosen =
        flows_.Choose(classes, want - static_cast<int>(grant.entries.size()), Now());
    if (chosen.empty()) break;
    for (const MemoryFlows::Chosen& one : chosen) {
      Job& job = jobs_.at(one.job);
      job.state = JobState::kLeased;
      grant.entries.push_back({one.job});
      response->leases.push_back({job.record, absl::StrCat(grant.name, "-", grant.entries.size()),
                                  job.attempts, job.crashes});
    }
  }
  if (grant.entries.empty()) return;
  session->held += static_cast<int>(grant.entries.size());
  session->grants.push_back(std::move(grant));
}

int MemoryJobQueue::Promote(int limit) {
  int promoted = 0;
  for (int i = 0; i < limit; ++i) {
    if (flows_.due().empty() || flows_.due().begin()->first > Now()) break;
    const std::string member = flows_.due().begin()->second;
    flows_.due().erase(flows_.due().begin());
    const std::string name = member.substr(1);
    if (member[0] == 'f') {
      if (!flows_.flow(name).limits.paused) flows_.Unpark(name);
      continue;
    }
    ToReady(&jobs_.at(name), MemoryFlows::End::kTail);
    ++promoted;
  }
  return promoted;
}

void MemoryJobQueue::SetTimer(const std::string& id, const Session& session,
                              TickResponse* response) {
  if (!session.idle || flows_.due().empty()) return;
  const absl::Time due = absl::FromUnixMillis(flows_.due().begin()->first);
  const bool others = !timer_.first.empty() && timer_.first != id;
  if (others && timer_.second <= due && timer_.second + absl::Seconds(1) > now_) return;
  timer_ = {id, due};
  response->next_due = due;
}

absl::StatusOr<TickResponse> MemoryJobQueue::Tick(const TickRequest& request) {
  RETURN_IF_ERROR(ValidateTick(request));
  TickResponse response;
  Finished finished;
  {
    MutexLock lock(&mu_);
    now_ = clock_->Now();
    const auto found = sessions_.find(request.session);
    const bool lives = found != sessions_.end() && found->second.expiry > now_;
    // Who was not told that a session has ended may not begin it anew.
    if (!lives && (found != sessions_.end() || known_sessions_.count(request.session) > 0)) {
      known_sessions_.erase(request.session);
      response.fenced = true;
      for (const Ack& ack : request.acks) response.lost.push_back(ack.token);
      for (const Nack& nack : request.nacks) response.lost.push_back(nack.token);
      for (const ProgressNote& note : request.progress) response.lost.push_back(note.token);
      return response;
    }
    known_sessions_.insert(request.session);
    Session& session = sessions_[request.session];
    session.expiry = now_ + request.lease;
    session.description = request.description;
    session.kinds = request.kinds;
    session.able = request.able;
    response.lost = Settle(request, &session, &finished);
    for (const Grant& grant : session.grants) {
      for (size_t i = 0; i < grant.entries.size(); ++i) {
        if (grant.entries[i].job.empty() || !grant.entries[i].cancelled) continue;
        response.cancelled.push_back(absl::StrCat(grant.name, "-", i + 1));
      }
    }
    const auto given_back = [](const Grant& grant) {
      return std::all_of(grant.entries.begin(), grant.entries.end(),
                         [](const Held& entry) { return entry.job.empty(); });
    };
    session.grants.erase(std::remove_if(session.grants.begin(), session.grants.end(), given_back),
                         session.grants.end());
    response.drain = session.drain || drain_all_;
    Promote(kPromote);
    if (!response.drain && request.want > 0) LeaseJobs(request, &session, &response);
    session.idle = request.want > 0 && response.leases.empty() && !response.drain;
    SetTimer(request.session, session, &response);
  }
  Tell(finished);
  return response;
}

absl::StatusOr<std::vector<Lease>> MemoryJobQueue::Mine(absl::string_view session) {
  MutexLock lock(&mu_);
  std::vector<Lease> leases;
  const auto found = sessions_.find(std::string(session));
  if (found == sessions_.end() || found->second.expiry <= clock_->Now()) return leases;
  for (const Grant& grant : found->second.grants) {
    for (size_t i = 0; i < grant.entries.size(); ++i) {
      const Held& entry = grant.entries[i];
      if (entry.job.empty() || entry.cancelled) continue;
      const Job& job = jobs_.at(entry.job);
      leases.push_back(
          {job.record, absl::StrCat(grant.name, "-", i + 1), job.attempts, job.crashes});
    }
  }
  return leases;
}

void MemoryJobQueue::Expire(const std::string& id, Finished* finished) {
  Session& session = sessions_.at(id);
  for (Grant& grant : session.grants) {
    for (Held& entry : grant.entries) {
      Job* job = entry.job.empty() ? nullptr : Release(&session, &entry);
      if (job == nullptr) continue;
      job->crashes += 1;
      if (job->crashes >= kMaxCrashes) {
        const std::string last =
            job->error.empty() ? "" : absl::StrCat("; last error: ", job->error);
        Bury(job, absl::StrCat("its worker was lost ", job->crashes, " times", last), finished);
      } else {
        ToReady(job, MemoryFlows::End::kHead);
        job->note.clear();
        flows_.flow(job->flow).waiting += 1;
      }
    }
  }
  sessions_.erase(id);
}

absl::StatusOr<int> MemoryJobQueue::Reap(int limit) {
  RETURN_IF_ERROR(ValidateLimit(limit, kMaxReap));
  Finished finished;
  int moved = 0;
  {
    MutexLock lock(&mu_);
    now_ = clock_->Now();
    moved = Promote(limit);
    std::vector<std::pair<absl::Time, std::string>> expired;
    for (const auto& [id, session] : sessions_) {
      if (session.expiry <= now_) expired.emplace_back(session.expiry, id);
    }
    std::sort(expired.begin(), expired.end());
    if (static_cast<int>(expired.size()) > limit) expired.resize(static_cast<size_t>(limit));
    for (const auto& [expiry, id] : expired) Expire(id, &finished);
    moved += static_cast<int>(expired.size());
    ForgetDone(/*by_age=*/true);
    for (int i = 0; i < limit && !dead_.empty(); ++i) {
      if (dead_.begin()->first + retention_.age > now_) break;
      Forget(dead_.begin()->second);
      dead_.erase(dead_.begin());
    }
  }
  Tell(finished);
  return moved;
}

}  // namespace fairlead::queue
