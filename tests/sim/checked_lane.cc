#include "tests/sim/checked_lane.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/queue/job_codec.h"

namespace fairlead::sim {

using queue::JobState;
using queue::Lease;
using queue::NewJob;
using queue::TickRequest;
using queue::TickResponse;

namespace {

constexpr int kManyEnough = 50;  // A Reap of so many leaves nothing over in a small lane.

std::vector<std::string> Sorted(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());
  return texts;
}

std::string Codes(const std::vector<absl::Status>& statuses) {
  return absl::StrJoin(statuses, " ", [](std::string* out, const absl::Status& status) {
    absl::StrAppend(out, absl::StatusCodeToString(status.code()));
  });
}

// Earlier in the order inside a flow: priority, then deadline, those without behind.
bool Before(const NewJob& a, const NewJob& b) {
  if (a.priority != b.priority) return a.priority > b.priority;
  return a.deadline < b.deadline;
}

}  // namespace

CheckedLane::CheckedLane(queue::JobQueue* inner, const Clock* clock,
                         std::function<std::vector<store::v1::JobFinished>()> newly_finished)
    : inner_(inner), clock_(clock), newly_finished_(std::move(newly_finished)) {}

void CheckedLane::Expect(bool holds, const std::string& what) {
  if (!holds && violation_.empty()) violation_ = what;
}

int64_t CheckedLane::Now() const { return absl::ToUnixMillis(clock_->Now()); }

CheckedLane::Job* CheckedLane::JobOf(const std::string& id) {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second;
}

CheckedLane::Grant* CheckedLane::GrantOf(const std::string& session, const std::string& token) {
  const auto found = grants_.find(token);
  return found == grants_.end() || found->second.session != session ? nullptr : &found->second;
}

std::string CheckedLane::NameOf(const std::string& token) const {
  const auto found = tokens_.find(token);
  return found == tokens_.end() ? token : absl::StrCat("#", found->second);
}

void CheckedLane::TimePassed(absl::Duration by) {
  for (auto& [name, flow] : flows_) {
    const double more = std::max(0.0, absl::ToDoubleSeconds(by)) * flow.limits.per_second;
    flow.credit = std::min(static_cast<double>(flow.limits.burst), flow.credit + more);
  }
}

absl::StatusOr<std::vector<bool>> CheckedLane::EnqueueBatch(const std::vector<NewJob>& jobs) {
  std::vector<bool> must;
  std::set<std::string> fresh;
  std::map<std::string, int64_t> more;
  for (const NewJob& job : jobs) {
    const std::string& id = job.record.job();
    must.push_back(JobOf(id) == nullptr && fresh.insert(id).second);
    if (must.back()) ++more[queue::FlowOf(job.record)];
  }
  bool fits = true;
  for (const auto& [flow, n] : more) {
    const int64_t most = flows_[flow].limits.waiting;
    fits = fits && (most == 0 || flows_[flow].waiting + n <= most);
  }
  absl::StatusOr<std::vector<bool>> added = inner_->EnqueueBatch(jobs);
  if (!fits) {
    Expect(ReasonOf(added.status()) == "QUEUE_FULL", "more jobs wait than the flow may have");
    return added;
  }
  Expect(added.ok(), absl::StrCat("an enqueue was refused: ", added.status().ToString()));
  if (!added.ok()) return added;
  Expect(*added == must, "G1: an id was taken that is there, or not taken that is not");
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (!must[i]) continue;
    Job& job = jobs_[jobs[i].record.job()];
    job.asked = jobs[i];
    job.flow = queue::FlowOf(jobs[i].record);
    job.job_class = queue::ClassOf(jobs[i].record);
    classes_.insert(job.job_class);
    ++flows_[job.flow].waiting;
    job.when = absl::ToUnixMillis(jobs[i].start);
    if (job.when > Now()) job.state = JobState::kDelayed;
  }
  return added;
}

// The job is taken off its queue or its holder by whoever calls.
void CheckedLane::End(Job& job, bool dead, const std::string& error) {
  job.state = dead ? JobState::kDead : JobState::kDone;
  job.error = error;
  job.when = Now();
  store::v1::JobFinished& told = told_.emplace_back();
  *told.mutable_job() = job.asked.record;
  told.set_dead(dead);
  told.set_error(dead ? error : "");
  told.set_attempts(job.attempts);
  told.set_crashes(job.crashes);
  if (dead) return;
  *told.mutable_result() = job.result;
  ++done_[job.asked.record.kind()];
  if (static_cast<int64_t>(job.result.ByteSizeLong()) > retention_.result_bytes) job.result.Clear();
}

void CheckedLane::ToReady(Job& job) {
  job.state = JobState::kReady;
  job.note.clear();
  ++flows_[job.flow].waiting;
}

void CheckedLane::Fail(Job& job, const queue::Nack& nack) {
  if (nack.preempted) return ToReady(job);
  ++job.attempts;
  if (job.attempts >= queue::kMaxAttempts) return End(job, true, nack.error);
  job.note.clear();
  const double bound = std::min(300'000.0, 2'000 * std::exp2(job.attempts - 1));
  job.state = JobState::kDelayed;
  job.error = nack.error;
  job.when = Now() + std::max<int64_t>(1, static_cast<int64_t>(bound * nack.jitter.value_or(0)));
  ++flows_[job.flow].waiting;
}

// Returns the tokens that must be lost.
std::vector<std::string> CheckedLane::Settle(const TickRequest& request) {
  std::vector<std::string> lost;
  for (const queue::ProgressNote& note : request.progress) {
    const Grant* grant = GrantOf(request.session, note.token);
    if (grant != nullptr && grant->live) {
      jobs_[grant->job].note = note.text;
    } else {
      lost.push_back(note.token);
    }
  }
  // A token given back: its live job, or null.
  const auto give_back = [&](const std::string& token) -> Job* {
    const Grant* grant = GrantOf(request.session, token);
    Job* job = grant == nullptr || !grant->live ? nullptr : JobOf(grant->job);
    if (grant != nullptr) grants_.erase(token);
    if (job == nullptr) {
      lost.push_back(token);
    } else {
      --flows_[job->flow].leased;
    }
    return job;
  };
  for (const queue::Ack& ack : request.acks) {
    Job* job = give_back(ack.token);
    if (job == nullptr) continue;
    job->result = ack.result;
    End(*job, false, "");
  }
  for (const queue::Nack& nack : request.nacks) {
    Job* job = give_back(nack.token);
    if (job != nullptr) Fail(*job, nack);
  }
  return lost;
}

// Delayed jobs that are due are ready; unless `all`, some of them. Returns how many.
int CheckedLane::WakeDue(bool all) {
  int woken = 0;
  for (auto& [id, job] : jobs_) {
    if (job.state != JobState::kDelayed || job.when > Now()) continue;
    job.unsure = !all;
    if (!all) continue;
    job.state = JobState::kReady;
    ++woken;
  }
  return woken;
}

bool CheckedLane::MayRun(const Job& job, const TickRequest& request) {
  const Flow& flow = flows_[job.flow];
  return job.state == JobState::kReady && !flow.limits.paused &&
         (flow.limits.leased == 0 || flow.leased < flow.limits.leased) &&
         queue::CanRun(job.job_class, request.kinds, request.able);
}

void CheckedLane::Grants(const TickRequest& request, const TickResponse& response) {
  for (const Lease& lease : response.leases) {
    const std::string& id = lease.job.job();
    Job* job = JobOf(id);
    Expect(job != nullptr, absl::StrCat("G3: leased a job that is not there: ", id));
    if (job == nullptr) continue;
    Expect(job->state == JobState::kReady, absl::StrCat("G3: leased while not ready: ", id));
    Expect(MayRun(*job, request), absl::StrCat("leased against its limits or to the unable: ", id));
    Flow& flow = flows_[job->flow];
    flow.credit -= 1;
    Expect(flow.limits.per_second == 0 || flow.credit > -1e-3, "leased faster than the rate");
    Expect(lease.job.SerializeAsString() == job->asked.record.SerializeAsString(),
           absl::StrCat("leased with another record: ", id));
    Expect(lease.attempts == job->attempts && lease.crashes == job->crashes,
           absl::StrCat("G6: leased with other counts: ", id));
    const int number = static_cast<int>(tokens_.size());
    Expect(tokens_.emplace(lease.token, number).second, "G3: a token came twice");
    grants_[lease.token] = {request.session, id, true};
    job->state = JobState::kLeased;
    job->token = lease.token;
    ++flow.leased;
    --flow.waiting;
  }
  Expect(static_cast<int>(response.leases.size()) <= request.want, "more was leased than wanted");
}

// What was leased came before what was left, in its flow; and nothing was left without a reason.
void CheckedLane::CheckOrder(const TickRequest& request, const TickResponse& response) {
  for (const auto& [id, left] : jobs_) {
    if (left.state != JobState::kReady) continue;
    for (const Lease& lease : response.leases) {
      const Job& taken = jobs_[lease.job.job()];
      if (taken.flow != left.flow || taken.job_class != left.job_class) continue;
      Expect(!Before(left.asked, taken.asked),
             absl::StrCat(lease.job.job(), " was leased before ", id));
    }
    const bool room = static_cast<int>(response.leases.size()) < request.want;
    Expect(response.drain || !room || !MayRun(left, request) ||
               flows_[left.flow].limits.per_second > 0,
           absl::StrCat("G1: ", id, " waits although it may run"));
  }
}

absl::StatusOr<TickResponse> CheckedLane::Tick(const TickRequest& request) {
  absl::StatusOr<TickResponse> response = inner_->Tick(request);
  Expect(response.ok(), absl::StrCat("a tick was refused: ", response.status().ToString()));
  if (!response.ok()) return response;
  const auto session = sessions_.find(request.session);
  const bool lives = session != sessions_.end() && session->second.expiry > Now();
  const bool fenced = !lives && (session != sessions_.end() || known_.count(request.session) > 0);
  Expect(response->fenced == fenced, "G3: a session was fenced, or not, against its expiry");
  std::vector<std::string> lost;
  if (fenced) {
    known_.erase(request.session);
    for (const auto& note : request.progress) lost.push_back(note.token);
    for (const auto& ack : request.acks) lost.push_back(ack.token);
    for (const auto& nack : request.nacks) lost.push_back(nack.token);
    Expect(response->leases.empty(), "G3: a fenced session was given jobs");
  } else {
    known_.insert(request.session);
    Session& mine = sessions_[request.session];
    mine.expiry = Now() + absl::ToInt64Milliseconds(request.lease);
    lost = Settle(request);
    std::vector<std::string> cancelled;
    for (const auto& [token, grant] : grants_) {
      if (grant.session == request.session && !grant.live) cancelled.push_back(token);
    }
    Expect(Sorted(response->cancelled) == Sorted(cancelled), "a holder is told of other cancels");
    Expect(response->drain == (mine.drain || drain_all_), "drain is told wrongly");
    WakeDue(/*all=*/true);
    Expect(!response->drain || response->leases.empty(), "a draining session was given jobs");
    Grants(request, *response);
    CheckOrder(request, *response);
  }
  Expect(Sorted(response->lost) == Sorted(lost), "G3: a token was taken that is not live, or not");
  CheckTold();
  return response;
}

absl::StatusOr<int> CheckedLane::Reap(int limit) {
  absl::StatusOr<int> reaped = inner_->Reap(limit);
  Expect(reaped.ok(), absl::StrCat("a reap was refused: ", reaped.status().ToString()));
  if (!reaped.ok()) return reaped;
  const bool all = limit >= kManyEnough;
  const int woken = WakeDue(all);
  std::vector<std::pair<int64_t, std::string>> ended;
  for (const auto& [id, session] : sessions_) {
    if (session.expiry <= Now()) ended.emplace_back(session.expiry, id);
  }
  std::sort(ended.begin(), ended.end());
  if (static_cast<int>(ended.size()) > limit) ended.resize(static_cast<size_t>(limit));
  Expect(!all || *reaped == woken + static_cast<int>(ended.size()), "other numbers were reaped");
  for (const auto& [expiry, session] : ended) {
    for (auto grant = grants_.begin(); grant != grants_.end();) {
      if (grant->second.session != session) {
        ++grant;
        continue;
      }
      Job* job = grant->second.live ? JobOf(grant->second.job) : nullptr;
      grant = grants_.erase(grant);
      if (job == nullptr) continue;
      --flows_[job->flow].leased;
      ++job->crashes;
      if (job->crashes >= queue::kMaxCrashes) {
        const std::string last =
            job->error.empty() ? "" : absl::StrCat("; last error: ", job->error);
        End(*job, true, absl::StrCat("its worker was lost ", job->crashes, " times", last));
      } else {
        ToReady(*job);
      }
    }
    sessions_.erase(session);
  }
  for (auto& [id, job] : jobs_) {
    const bool over = job.state == JobState::kDone || job.state == JobState::kDead;
    job.may_leave = over && job.when + absl::ToInt64Milliseconds(retention_.age) <= Now();
  }
  CheckTold();
  return reaped;
}

absl::Status CheckedLane::Cancel(absl::string_view id) {
  const absl::Status status = inner_->Cancel(id);
  Job* job = JobOf(std::string(id));
  if (job == nullptr) {
    Expect(absl::IsNotFound(status), "a job was cancelled that is not there");
  } else if (job->state == JobState::kDone || job->state == JobState::kDead) {
    Expect(ReasonOf(status) == "STATE_TERMINAL", "G1: a job was cancelled that has ended");
  } else {
    Expect(status.ok(), absl::StrCat("a cancel was refused: ", status.ToString()));
    if (job->state == JobState::kLeased) {
      grants_[job->token].live = false;
      --flows_[job->flow].leased;
    } else {
      --flows_[job->flow].waiting;
    }
    End(*job, true, "cancelled");
  }
  CheckTold();
  return status;
}

std::vector<absl::Status> CheckedLane::ForDead(const std::vector<std::string>& jobs, bool replay) {
  std::vector<absl::Status> must;
  std::set<std::string> seen;
  for (const std::string& id : jobs) {
    Job* job = JobOf(id);
    if (!seen.insert(id).second || job == nullptr) {
      must.push_back(absl::NotFoundError(id));
    } else if (job->state != JobState::kDead) {
      must.push_back(absl::FailedPreconditionError(id));
    } else {
      must.push_back(absl::OkStatus());
      if (replay) {
        job->attempts = job->crashes = 0;
        job->error.clear();
        job->may_leave = false;
        ToReady(*job);
      } else {
        jobs_.erase(id);
      }
    }
  }
  return must;
}

void CheckedLane::CheckStatuses(const std::vector<absl::Status>& must,
                                const std::vector<absl::Status>& are, const char* verb) {
  Expect(Codes(must) == Codes(are),
         absl::StrCat(verb, ": ", Codes(are), " instead of ", Codes(must)));
}

absl::StatusOr<std::vector<absl::Status>> CheckedLane::ReplayAll(
    const std::vector<std::string>& jobs) {
  absl::StatusOr<std::vector<absl::Status>> each = inner_->ReplayAll(jobs);
  Expect(each.ok(), "a replay was refused");
  const std::vector<absl::Status> must = ForDead(jobs, /*replay=*/true);
  if (each.ok()) CheckStatuses(must, *each, "replay");
  CheckTold();
  return each;
}

absl::StatusOr<std::vector<absl::Status>> CheckedLane::Purge(const std::vector<std::string>& jobs) {
  absl::StatusOr<std::vector<absl::Status>> each = inner_->Purge(jobs);
  Expect(each.ok(), "a purge was refused");
  const std::vector<absl::Status> must = ForDead(jobs, /*replay=*/false);
  if (each.ok()) CheckStatuses(must, *each, "purge");
  CheckTold();
  return each;
}

absl::StatusOr<int> CheckedLane::SetDrain(absl::string_view session, bool drain) {
  absl::StatusOr<int> asked = inner_->SetDrain(session, drain);
  if (session.empty()) drain_all_ = drain;
  int must = 0;
  for (auto& [id, one] : sessions_) {
    if (one.expiry <= Now() || (!session.empty() && id != session)) continue;
    if (!session.empty()) one.drain = drain;
    ++must;
  }
  if (drain && !session.empty() && must == 0) {
    Expect(absl::IsNotFound(asked.status()), "a session was asked to drain that is not there");
  } else {
    Expect(asked.ok() && *asked == (drain ? must : 0), "other sessions were asked to drain");
  }
  return asked;
}

absl::Status CheckedLane::SetLimits(absl::string_view flow, const queue::FlowLimits& limits) {
  const absl::Status status = inner_->SetLimits(flow, limits);
  Expect(status.ok(), absl::StrCat("limits were refused: ", status.ToString()));
  Flow& one = flows_[std::string(flow)];
  one.limits = limits;
  one.credit = static_cast<double>(limits.burst);
  return status;
}

absl::Status CheckedLane::SetRetention(const queue::Retention& retention) {
  const absl::Status status = inner_->SetRetention(retention);
  Expect(status.ok(), absl::StrCat("a retention was refused: ", status.ToString()));
  retention_ = retention;
  return status;
}

}  // namespace fairlead::sim
