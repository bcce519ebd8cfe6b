#include "worker/agent.h"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/status.h"

namespace fairlead::worker {
namespace {

constexpr int kSessionBytes = 16;
constexpr int kMaxDoublings = 2;
constexpr size_t kMaxErrorBytes = 2048;
constexpr size_t kMaxNoteBytes = 1024;

bool Contains(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

}  // namespace

absl::Status JobContext::Check() const {
  switch (command()) {
    case trainer::Command::kContinue:
      return absl::OkStatus();
    case trainer::Command::kCheckpointAndStop:
      return absl::CancelledError("the worker drains");
    case trainer::Command::kAbort:
      break;
  }
  return absl::AbortedError("the lease is lost");
}

Agent::Agent(queue::JobQueue* queue, std::map<std::string, JobHandler*> handlers, Wait wait,
             AgentOptions options)
    : queue_(queue),
      handlers_(std::move(handlers)),
      wait_(std::move(wait)),
      options_(std::move(options)) {
  NewSession();
}

void Agent::NewSession() {
  MutexLock lock(&mu_);
  session_ = RandomHex(kSessionBytes);
  FAIRLEAD_LOG(INFO) << "session begins session=" << session_;
}

std::string Agent::session() const {
  MutexLock lock(&mu_);
  return session_;
}

void Agent::RequestStop() {
  stopping_ = true;
  MutexLock lock(&mu_);
  if (held_ != nullptr) held_->context.Stop();
  changed_.NotifyAll();
  if (options_.end_wait != nullptr) options_.end_wait();
}

AgentExit Agent::Run() {
  while (!stopping_) {
    if (!RunOnce() && !unsure_ && !stopping_) Idle();
  }
  return interrupted_ ? AgentExit::kInterrupted : AgentExit::kIdle;
}

bool Agent::RunOnce() {
  std::optional<queue::Lease> lease = LeaseOne();
  if (!lease.has_value()) return false;
  if (options_.leave_wait != nullptr) options_.leave_wait();
  RunJob(*std::move(lease));
  return true;
}

queue::TickRequest Agent::BaseTick() const {
  queue::TickRequest request;
  request.session = session();
  request.description = options_.description;
  request.lease = options_.lease;
  request.able = options_.able;
  for (const auto& [kind, handler] : handlers_) request.kinds.push_back(kind);
  return request;
}

std::optional<queue::Lease> Agent::LeaseOne() {
  if (unsure_) {
    absl::StatusOr<std::vector<queue::Lease>> mine = queue_->Mine(session());
    if (!mine.ok()) return Failed(mine.status());
    unsure_ = false;
    if (!mine->empty()) return std::move(mine->front());
  }
  queue::TickRequest request = BaseTick();
  request.want = 1;
  absl::StatusOr<queue::TickResponse> response = queue_->Tick(request);
  if (response.ok() && response->fenced) {
    NewSession();
    request.session = session();
    response = queue_->Tick(request);
  }
  if (!response.ok()) {
    unsure_ = true;
    return Failed(response.status());
  }
  failures_ = 0;
  next_due_ = response->next_due;
  if (response->drain) {
    FAIRLEAD_LOG(INFO) << "asked to drain";
    RequestStop();
  }
  if (response->leases.empty()) return std::nullopt;
  return std::move(response->leases.front());
}

std::nullopt_t Agent::Failed(const absl::Status& status) {
  FAIRLEAD_LOG(WARNING) << "cannot lease status=" << status;
  Pause(options_.retry * (1 << std::min(failures_++, kMaxDoublings)));
  return std::nullopt;
}

void Agent::RunJob(queue::Lease lease) {
  Held held;
  held.lease = std::move(lease);
  const store::v1::JobRecord& job = held.lease.job;
  FAIRLEAD_LOG(INFO) << "job leased job=" << job.job() << " kind=" << job.kind()
                     << " attempts=" << held.lease.attempts << " crashes=" << held.lease.crashes;
  {
    MutexLock lock(&mu_);
    held_ = &held;
    if (stopping_) held.context.Stop();
  }
  std::thread keeper([this, &held] { KeepAlive(&held); });
  GaugeOf("fairlead_worker_busy", "1 while a job runs.").Set(1);
  const auto handler = handlers_.find(job.kind());
  absl::StatusOr<store::v1::JobResult> result =
      absl::UnimplementedError(absl::StrCat("no handler for kind ", job.kind()));
  if (handler != handlers_.end()) result = handler->second->Run(job, held.context);
  {
    MutexLock lock(&mu_);
    held_ = nullptr;
    changed_.NotifyAll();
  }
  keeper.join();
  GaugeOf("fairlead_worker_busy", "1 while a job runs.").Set(0);
  const bool done = result.ok();
  Settle(&held, std::move(result));
  if (done && handler != handlers_.end() && !held.gone) handler->second->Forget(job);
}

void Agent::KeepAlive(Held* held) {
  const auto period = absl::ToChronoMilliseconds(options_.lease / 3);
  while (true) {
    {
      MutexLock lock(&mu_);
      if (held_ != held) return;
      changed_.WaitFor(&mu_, period);
      if (held_ != held) return;
    }
    Beat(held);
  }
}

void Agent::Beat(Held* held) {
  queue::TickRequest request = BaseTick();
  const std::string progress = held->context.progress();
  if (!progress.empty()) {
    request.progress = {{held->lease.token, progress.substr(0, kMaxNoteBytes)}};
  }
  const absl::StatusOr<queue::TickResponse> response = queue_->Tick(request);
  if (!response.ok()) {
    FAIRLEAD_LOG(WARNING) << "heartbeat failed status=" << response.status();
    return;
  }
  if (response->fenced || Contains(response->lost, held->lease.token)) held->gone = true;
  if (Contains(response->cancelled, held->lease.token)) held->cancelled = true;
  if (held->gone || held->cancelled) {
    FAIRLEAD_LOG(WARNING) << "job taken away job=" << held->lease.job.job()
                          << " cancelled=" << held->cancelled;
    held->context.Abort();
  }
  if (response->fenced) NewSession();
  if (response->drain) RequestStop();
}

void Agent::Settle(Held* held, absl::StatusOr<store::v1::JobResult> result) {
  const store::v1::JobRecord& job = held->lease.job;
  if (held->gone) {
    Count(job.kind(), "lost");
    return;
  }
  queue::TickRequest request = BaseTick();
  std::string outcome = "done";
  if (held->cancelled) {
    // The queue knows the end already; this only lets go of the grant.
    request.nacks.push_back({held->lease.token, "cancelled", /*preempted=*/true});
    queue_->Tick(request).status().IgnoreError();
    Count(job.kind(), "cancelled");
    return;
  }
  if (result.ok()) {
    request.acks.push_back({held->lease.token, *std::move(result)});
  } else {
    const bool preempted = absl::IsCancelled(result.status()) && stopping_;
    const std::string error = std::string(result.status().message()).substr(0, kMaxErrorBytes);
    request.nacks.push_back({held->lease.token, error, preempted});
    outcome = preempted ? "preempted" : "failed";
    if (preempted) interrupted_ = true;
  }
  FAIRLEAD_LOG(INFO) << "job ends job=" << job.job() << " outcome=" << outcome
                     << (result.ok() ? "" : absl::StrCat(" status=", result.status().ToString()));
  if (!SettledBy(request, held->lease.token, absl::Now() + options_.settle)) {
    outcome = "lost";
    held->gone = true;
  }
  Count(job.kind(), outcome);
}

bool Agent::SettledBy(const queue::TickRequest& request, const std::string& token,
                      absl::Time deadline) {
  bool asked_before = false;
  while (true) {
    const absl::StatusOr<queue::TickResponse> response = queue_->Tick(request);
    if (response.ok()) {
      if (response->fenced) NewSession();
      if (response->drain) RequestStop();
      // After a lost reply the first try may have done it: then the token is spent, and that is
      // fine.
      return asked_before || !(response->fenced || Contains(response->lost, token));
    }
    FAIRLEAD_LOG(WARNING) << "cannot hand in status=" << response.status();
    if (absl::IsInvalidArgument(response.status())) return false;
    if (stopping_ && absl::Now() > deadline) return false;
    asked_before = true;
    Pause(options_.retry);
  }
}

void Agent::Idle() {
  const absl::Time beat = std::min(absl::Now() + options_.lease / 3, next_due_);
  while (!stopping_ && absl::Now() < beat) {
    const absl::StatusOr<bool> woken = wait_(beat - absl::Now());
    if (woken.ok() && *woken) return;
    if (!woken.ok()) {
      Pause(options_.retry);
      return;
    }
  }
}

void Agent::Pause(absl::Duration mean) {
  absl::BitGen gen;
  const absl::Duration pause = mean * absl::Uniform(gen, 0.5, 1.5);
  MutexLock lock(&mu_);
  // Also while draining: a queue that is away must not be asked in a tight loop.
  changed_.WaitFor(&mu_, absl::ToChronoMilliseconds(pause));
}

void Agent::Count(const std::string& kind, const std::string& outcome) {
  CounterOf("fairlead_worker_jobs_total", "Jobs that left this worker, by outcome.",
            {{"kind", kind}, {"outcome", outcome}})
      .Increment();
}

}  // namespace fairlead::worker
