#include "tests/sim/job_simulation.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"

namespace fairlead::sim {

using queue::Lease;
using queue::TickRequest;
using queue::TickResponse;

namespace {

constexpr int kJobs = 10;  // Ids a history uses; they come back.
constexpr int kFlows = 3;
constexpr size_t kWorkers = 3;
constexpr size_t kLost = 8;      // Calls without a reply that are remembered.
constexpr int kLossPercent = 6;  // Of requests, and of replies.
constexpr const char* kKinds[] = {"train-ocr", "prelabel-ocr"};

std::string Said(const absl::Status& status) {
  if (status.ok()) return "OK";
  return absl::StrCat(absl::StatusCodeToString(status.code()), " ", ReasonOf(status));
}

std::string Said(const absl::StatusOr<std::vector<absl::Status>>& each) {
  if (!each.ok()) return Said(each.status());
  return absl::StrJoin(*each, ", ", [](std::string* out, const absl::Status& status) {
    absl::StrAppend(out, Said(status));
  });
}

testing::Fault FaultOf(Dice& dice) {
  const int roll = dice.Below(100);
  if (roll < kLossPercent) return testing::Fault::kBefore;
  return roll < 2 * kLossPercent ? testing::Fault::kAfter : testing::Fault::kNone;
}

}  // namespace

JobSimulation::JobSimulation(uint64_t seed, queue::Lane* lane, bool fingerprints)
    : dice_(seed),
      lane_(lane),
      checked_(&lane->queue(), &lane->clock(), [lane] { return lane->NewlyFinished(); }),
      queue_(&checked_,
             [this](const TickRequest*) { return calm_ ? testing::Fault::kNone : FaultOf(dice_); }),
      workers_(kWorkers),
      fingerprints_(fingerprints) {
  for (Worker& worker : workers_) Begin(worker);
  LearnClasses();
  calm_ = false;
}

// A client in Redis hears of a class when a tick finds nothing to do; the twin knows them all. With
// one job of each there has been, and one idle tick, both choose among the same.
void JobSimulation::LearnClasses() {
  std::vector<queue::NewJob> jobs;
  for (const char* kind : kKinds) {
    for (const char* device : {"", "cuda"}) {
      queue::NewJob& job = jobs.emplace_back();
      job.record.set_job(absl::StrCat(kind, device));
      job.record.set_kind(kind);
      if (*device != '\0') job.record.mutable_requirements()->set_device(device);
    }
  }
  queue_.EnqueueBatch(jobs).status().IgnoreError();
  for (const queue::NewJob& job : jobs) {
    queue_.Cancel(job.record.job()).IgnoreError();
    queue_.Purge({job.record.job()}).status().IgnoreError();
  }
  for (Worker& worker : workers_) queue_.Tick(TickOf(worker, 1)).status().IgnoreError();
}

absl::Status JobSimulation::Step() {
  using Action = void (JobSimulation::*)();
  struct Weighted {
    int weight;
    Action action;
  };
  static constexpr Weighted kActions[] = {
      {14, &JobSimulation::Produce}, {34, &JobSimulation::Work},
      {4, &JobSimulation::Beat},     {4, &JobSimulation::Resume},
      {3, &JobSimulation::Crash},    {4, &JobSimulation::HauntAsZombie},
      {8, &JobSimulation::Reap},     {4, &JobSimulation::Cancel},
      {5, &JobSimulation::Replay},   {2, &JobSimulation::Purge},
      {2, &JobSimulation::Drain},    {4, &JobSimulation::Limit},
      {1, &JobSimulation::Keep},     {3, &JobSimulation::Ask},
      {8, &JobSimulation::PassTime}, {4, &JobSimulation::Redeliver},
  };
  int all = 0;
  for (const Weighted& one : kActions) all += one.weight;
  int roll = Pick(all);
  for (const Weighted& one : kActions) {
    roll -= one.weight;
    if (roll >= 0) continue;
    (this->*one.action)();
    break;
  }
  fingerprint_.clear();
  checked_.CheckAll(fingerprints_ ? &fingerprint_ : nullptr);
  const std::string& violation = checked_.violation();
  return violation.empty() ? absl::OkStatus() : absl::InternalError(violation);
}

std::string JobSimulation::AnyJob() { return absl::StrCat("j", Pick(kJobs)); }
std::string JobSimulation::AnyFlow() { return absl::StrCat("acme/f", Pick(kFlows)); }

std::vector<std::string> JobSimulation::AnyJobs() {
  std::vector<std::string> ids(1 + static_cast<size_t>(Pick(3)));
  for (std::string& id : ids) id = AnyJob();
  return ids;
}

// Mostly a new one; now and then any that ever was, or none at all.
std::string JobSimulation::AnyToken() {
  const int all = static_cast<int>(tokens_.size());
  if (all == 0 || dice_.Percent(3)) return dice_.Percent(50) ? "forged" : "abcdef-1";
  const int from = dice_.Percent(60) ? std::max(0, all - 6) : 0;
  return tokens_[static_cast<size_t>(from + Pick(all - from))];
}

std::string JobSimulation::Names(const std::vector<std::string>& tokens) const {
  std::vector<std::string> names;
  for (const std::string& token : tokens) names.push_back(checked_.NameOf(token));
  std::sort(names.begin(), names.end());
  return absl::StrJoin(names, ",");
}

void JobSimulation::Do(const std::string& what, Call call) {
  const std::string said = call();
  trace_.push_back(absl::StrCat(trace_.size(), " ", what, " -> ", said));
  if (!absl::StartsWith(said, "UNAVAILABLE")) return;
  // Whoever called does not know. It may try again later, or crash and never do.
  if (lost_.size() < kLost && !dice_.Percent(25)) lost_.emplace_back(what, std::move(call));
}

void JobSimulation::Redeliver() {
  if (lost_.empty()) return;
  const int i = Pick(static_cast<int>(lost_.size()));
  auto [what, call] = std::move(lost_[static_cast<size_t>(i)]);
  lost_.erase(lost_.begin() + i);
  Do(absl::StrCat("again: ", what), std::move(call));
}

queue::NewJob JobSimulation::NewJob() {
  queue::NewJob job;
  job.record.set_job(AnyJob());
  job.record.set_kind(kKinds[Pick(2)]);
  job.record.set_model(AnyFlow());
  job.record.set_version(absl::StrCat("v", ++serial_));
  if (dice_.Percent(20)) job.record.mutable_requirements()->set_device("cuda");
  if (dice_.Percent(30)) job.priority = Pick(3) - 1;
  const absl::Time now = lane_->clock().Now();
  if (dice_.Percent(20)) job.deadline = now + absl::Seconds(Pick(100) - 10);
  if (dice_.Percent(20)) job.start = now + absl::Milliseconds(Pick(20'000) - 2'000);
  return job;
}

void JobSimulation::Produce() {
  std::vector<queue::NewJob> jobs(1 + static_cast<size_t>(Pick(4)));
  for (queue::NewJob& job : jobs) job = NewJob();
  std::string what = "enqueue";
  for (const queue::NewJob& job : jobs) {
    absl::StrAppend(&what, " ", job.record.job(), "/", job.record.model(), "/", job.record.kind(),
                    "/", job.priority);
  }
  Do(what, [this, jobs] {
    const auto added = queue_.EnqueueBatch(jobs);
    return added.ok() ? absl::StrCat("OK ", absl::StrJoin(*added, "")) : Said(added.status());
  });
}

void JobSimulation::Begin(Worker& worker) {
  worker.session = absl::StrCat("s", ++serial_);
  worker.kinds = {kKinds[0]};
  if (dice_.Percent(80)) worker.kinds.emplace_back(kKinds[1]);
  worker.able.device = dice_.Percent(50) ? "cuda" : "cpu";
  worker.held.clear();
  sessions_.push_back(worker.session);
}

TickRequest JobSimulation::TickOf(const Worker& worker, int want) {
  TickRequest request;
  request.session = worker.session;
  request.description = "{}";
  request.kinds = worker.kinds;
  request.able = worker.able;
  request.want = want;
  return request;
}

void JobSimulation::AddSettlements(const std::vector<std::string>& tokens, TickRequest* request) {
  for (const std::string& token : tokens) {
    const int roll = Pick(10);
    const std::string text = absl::StrCat("text ", ++serial_);
    if (roll < 4) {
      request->acks.emplace_back().token = token;
      request->acks.back().result.set_artefact_blob(text);
    } else if (roll < 8) {
      // In 64ths: a number that survives the way to Redis as it is.
      const queue::Nack nack = {token, text, dice_.Percent(30), Pick(65) / 64.0};
      request->nacks.push_back(nack);
    } else {
      request->progress.push_back({token, text});
    }
  }
}

std::string JobSimulation::TickAs(size_t which, const TickRequest& request) {
  const absl::StatusOr<TickResponse> response = queue_.Tick(request);
  if (!response.ok()) return Said(response.status());
  Worker& worker = workers_[which];
  std::string said =
      absl::StrCat("OK lost ", Names(response->lost), " cancelled ", Names(response->cancelled),
                   response->drain ? " drain" : "", response->fenced ? " fenced" : "", " leased");
  const auto forget = [&](const std::vector<std::string>& tokens) {
    const auto gone = [&](const Lease& lease) {
      return std::count(tokens.begin(), tokens.end(), lease.token) > 0;
    };
    worker.held.erase(std::remove_if(worker.held.begin(), worker.held.end(), gone),
                      worker.held.end());
  };
  std::vector<std::string> settled;
  for (const queue::Ack& ack : request.acks) settled.push_back(ack.token);
  for (const queue::Nack& nack : request.nacks) settled.push_back(nack.token);
  if (worker.session == request.session) {
    forget(settled);
    forget(response->lost);
  }
  for (const Lease& lease : response->leases) {
    absl::StrAppend(&said, " ", lease.job.job(), " ", checked_.NameOf(lease.token), " ",
                    lease.attempts, "/", lease.crashes);
    tokens_.push_back(lease.token);
    if (worker.session == request.session) worker.held.push_back(lease);
  }
  if (response->next_due != absl::InfiniteFuture()) {
    absl::StrAppend(&said, " due ", absl::ToUnixMillis(response->next_due));
  }
  // Most begin anew when they are told; some do not listen.
  if (response->fenced && worker.session == request.session && dice_.Percent(80)) Begin(worker);
  return said;
}

void JobSimulation::Work() {
  const auto which = static_cast<size_t>(Pick(kWorkers));
  Worker& worker = workers_[which];
  TickRequest request = TickOf(worker, Pick(4));
  std::vector<std::string> tokens;
  for (const Lease& lease : worker.held) {
    if (dice_.Percent(50)) tokens.push_back(lease.token);
  }
  if (dice_.Percent(15)) tokens.push_back(AnyToken());
  AddSettlements(tokens, &request);
  Do(absl::StrCat("work ", request.session, " want ", request.want, " settle ", Names(tokens)),
     [this, which, request] { return TickAs(which, request); });
}

void JobSimulation::Beat() {
  const auto which = static_cast<size_t>(Pick(kWorkers));
  TickRequest request = TickOf(workers_[which], 0);
  request.lease = absl::Milliseconds(1 + Pick(30'000));
  Do(absl::StrCat("beat ", request.session),
     [this, which, request] { return TickAs(which, request); });
}

// After a lost reply: what is mine?
void JobSimulation::Resume() {
  const auto which = static_cast<size_t>(Pick(kWorkers));
  Do(absl::StrCat("resume ", workers_[which].session),
     [this, which, session = workers_[which].session] {
       const absl::StatusOr<std::vector<Lease>> mine = queue_.Mine(session);
       if (!mine.ok()) return Said(mine.status());
       std::string said = "OK";
       for (const Lease& lease : *mine) {
         absl::StrAppend(&said, " ", lease.job.job(), " ", checked_.NameOf(lease.token));
         tokens_.push_back(lease.token);
       }
       if (workers_[which].session == session) workers_[which].held = *mine;
       return said;
     });
}

void JobSimulation::Crash() {
  Worker& worker = workers_[static_cast<size_t>(Pick(kWorkers))];
  trace_.push_back(absl::StrCat(trace_.size(), " crash of ", worker.session));
  Begin(worker);
}

// Somebody who was away for long goes on as if nothing had happened.
void JobSimulation::HauntAsZombie() {
  const auto which = static_cast<size_t>(Pick(kWorkers));
  Worker zombie = workers_[which];
  zombie.session = sessions_[static_cast<size_t>(Pick(static_cast<int>(sessions_.size())))];
  TickRequest request = TickOf(zombie, Pick(2));
  std::vector<std::string> tokens(1 + static_cast<size_t>(Pick(3)));
  for (std::string& token : tokens) token = AnyToken();
  AddSettlements(tokens, &request);
  Do(absl::StrCat("zombie ", request.session, " settles ", Names(tokens)),
     [this, which, request] { return TickAs(which, request); });
}

void JobSimulation::Reap() {
  const int limit = dice_.Percent(70) ? 100 : 1 + Pick(3);
  Do(absl::StrCat("reap ", limit), [this, limit] {
    const absl::StatusOr<int> reaped = queue_.Reap(limit);
    return reaped.ok() ? absl::StrCat("OK ", *reaped) : Said(reaped.status());
  });
}

void JobSimulation::Cancel() {
  const std::string id = AnyJob();
  Do(absl::StrCat("cancel ", id), [this, id] { return Said(queue_.Cancel(id)); });
}

void JobSimulation::Replay() {
  const std::vector<std::string> ids = AnyJobs();
  Do(absl::StrCat("replay ", absl::StrJoin(ids, " ")),
     [this, ids] { return Said(queue_.ReplayAll(ids)); });
}

void JobSimulation::Purge() {
  const std::vector<std::string> ids = AnyJobs();
  Do(absl::StrCat("purge ", absl::StrJoin(ids, " ")),
     [this, ids] { return Said(queue_.Purge(ids)); });
}

void JobSimulation::Drain() {
  const std::string session =
      dice_.Percent(20) ? "" : workers_[static_cast<size_t>(Pick(kWorkers))].session;
  const bool on = dice_.Percent(40);
  Do(absl::StrCat(on ? "drain " : "undrain ", session), [this, session, on] {
    const absl::StatusOr<int> asked = queue_.SetDrain(session, on);
    return asked.ok() ? absl::StrCat("OK ", *asked) : Said(asked.status());
  });
}

void JobSimulation::Limit() {
  queue::FlowLimits limits;
  if (dice_.Percent(60)) {
    limits.weight = 1 + Pick(4);
    limits.leased = Pick(3);
    limits.paused = dice_.Percent(25);
    limits.waiting = dice_.Percent(20) ? 1 + Pick(3) : 0;
    if (dice_.Percent(30)) {
      // A token in 128 or 256 ms: buckets of binary fractions are the same to the last bit.
      limits.per_second = dice_.Percent(50) ? 3.90625 : 7.8125;
      limits.burst = 1 + Pick(2);
    }
  }
  const std::string flow = AnyFlow();
  Do(absl::StrCat("limit ", flow, " weight ", limits.weight, " leased ", limits.leased, " rate ",
                  limits.per_second, " waiting ", limits.waiting, limits.paused ? " paused" : ""),
     [this, flow, limits] { return Said(queue_.SetLimits(flow, limits)); });
}

void JobSimulation::Keep() {
  queue::Retention retention;
  retention.age = dice_.Percent(50) ? absl::Seconds(5) : absl::Hours(1);
  retention.result_bytes = dice_.Percent(30) ? 4 : 1024;
  Do(absl::StrCat("keep ", absl::FormatDuration(retention.age), " ", retention.result_bytes),
     [this, retention] { return Said(queue_.SetRetention(retention)); });
}

void JobSimulation::Ask() {
  const std::string id = AnyJob();
  queue::DeadQuery query;
  query.limit = 1 + Pick(4);
  query.offset = Pick(2);
  if (dice_.Percent(30)) query.text = dice_.Percent(50) ? "cancelled" : AnyFlow();
  if (dice_.Percent(20)) query.kind = kKinds[Pick(2)];
  Do(absl::StrCat("ask for ", id, " and the dead"), [this, id, query] {
    std::string said = Said(queue_.Find(id).status());
    const absl::StatusOr<queue::DeadPage> page = queue_.SearchDead(query);
    if (!page.ok()) return absl::StrCat(said, " ", Said(page.status()));
    for (const queue::DeadJob& one : page->jobs) {
      absl::StrAppend(&said, " ", one.job, " ", one.error, " ", one.attempts, "/", one.crashes, " ",
                      absl::ToUnixMillis(one.dead_time), " ", one.kind, " ", one.flow);
    }
    return absl::StrCat(said, " next ", page->next);
  });
}

void JobSimulation::PassTime() {
  absl::Duration by = absl::Milliseconds(Pick(6'000));
  if (dice_.Percent(30)) by = absl::Milliseconds(Pick(300));
  if (dice_.Percent(30)) by = absl::Seconds(Pick(30));
  if (dice_.Percent(5)) by = absl::Hours(3);
  if (dice_.Percent(10)) by = -absl::Seconds(Pick(60));  // Clocks are set back, too.
  lane_->clock().Advance(by);
  checked_.TimePassed(by);
  trace_.push_back(absl::StrCat(trace_.size(), " time ", absl::FormatDuration(by)));
}

absl::Status RunJobSeed(uint64_t seed, int steps, queue::Lane* lane) {
  JobSimulation simulation(seed, lane, /*fingerprints=*/false);
  for (int i = 0; i < steps; ++i) {
    const absl::Status step = simulation.Step();
    if (step.ok()) continue;
    return absl::InternalError(absl::StrCat("seed ", seed, ", step ", i, ": ", step.message(),
                                            "\nreplay it alone with FAIRLEAD_SIM_SEED=", seed, "\n",
                                            absl::StrJoin(simulation.trace(), "\n")));
  }
  return absl::OkStatus();
}

}  // namespace fairlead::sim
