// A worker: leases jobs, holds them for some ticks, notes, acks and nacks them, asks what it holds
// after a failure, begins a new session when the old one is fenced.
#include <map>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/queue/redis_job_queue.h"
#include "common/redis/connection.h"
#include "tests/chaos/actor_log.h"
#include "tests/chaos/actors.h"

namespace fairlead::chaos {
namespace {

constexpr int kWant = 20;
constexpr size_t kMostHeld = 60;
constexpr absl::Duration kLease = absl::Seconds(2);  // Shorter than the longest SIGSTOP.
constexpr absl::Duration kPace = absl::Milliseconds(10);
constexpr absl::Duration kRetry = absl::Milliseconds(50);
constexpr absl::Duration kIdle = absl::Milliseconds(200);

class Worker {
 public:
  Worker(const ActorOptions& options, ActorLog log, StopSignal& stop)
      : log_(std::move(log)),
        stop_(stop),
        dice_(options.seed),
        pool_([&] {
          redis::RedisOptions redis;
          redis.address = options.redis;
          redis.command_timeout = absl::Seconds(2);
          return redis;
        }()),
        lane_(&pool_, "m0") {}

  absl::Status Run() {
    BeginSession();
    while (!stop_.Wait(held_.empty() ? absl::ZeroDuration() : kPace)) {
      RETURN_IF_ERROR(TickOnce(/*ending=*/false));
      if (held_.empty()) lane_.WaitForWork(kIdle).status().IgnoreError();
    }
    // Hands back what it has; what cannot be handed back comes back when the lease ends.
    return held_.empty() ? absl::OkStatus() : TickOnce(/*ending=*/true);
  }

 private:
  struct Held {
    std::string job;
    int ticks = 0;  // To go, until it is done.
  };

  void BeginSession() {
    session_ = RandomHex(8);
    held_.clear();
    log_.Write("begin", {session_});
  }

  void Add(const std::vector<queue::Lease>& leases, std::vector<std::string>* fields) {
    for (const queue::Lease& lease : leases) {
      held_.emplace(lease.token, Held{lease.job.job(), dice_.Below(4)});
      fields->push_back(absl::StrCat("lease:", lease.token, ":", lease.job.job()));
    }
  }

  queue::TickRequest Prepare(bool ending, std::vector<std::string>* fields) {
    queue::TickRequest request;
    request.session = session_;
    request.description = "{}";
    request.kinds = {"chaos-a", "chaos-b"};
    request.able.labels = {"eu"};
    request.lease = kLease;
    request.want = ending || held_.size() > kMostHeld ? 0 : kWant;
    for (auto& [token, held] : held_) {
      if (!ending && held.ticks-- > 0) {
        request.progress.push_back({token, "under way"});
        fields->push_back("note:" + token);
      } else if (ending || dice_.Percent(8)) {
        const bool preempted = ending || dice_.Percent(50);
        request.nacks.push_back({token, preempted ? "" : "fails by lot", preempted, 0.0});
        fields->push_back("nack:" + token);
      } else {
        queue::Ack ack;
        ack.token = token;
        ack.result.set_artefact_blob(token);
        request.acks.push_back(std::move(ack));
        fields->push_back("ack:" + token);
      }
    }
    return request;
  }

  absl::Status TickOnce(bool ending) {
    const std::string number = absl::StrCat(session_, ".", ++ticks_);
    std::vector<std::string> fields = {number};
    const queue::TickRequest request = Prepare(ending, &fields);
    log_.Write("sent", fields);
    const absl::StatusOr<queue::TickResponse> response = lane_.Tick(request);
    if (!response.ok()) {
      log_.Write("failed", {number, ReasonOf(response.status())});
      if (!absl::IsUnavailable(response.status())) return response.status();
      return ending ? absl::OkStatus() : Reconcile(number);
    }
    if (response->fenced) {
      log_.Write("failed", {number, "FENCED"});
      BeginSession();
      return absl::OkStatus();
    }
    fields = {number};
    for (const queue::Ack& ack : request.acks) held_.erase(ack.token);
    for (const queue::Nack& nack : request.nacks) held_.erase(nack.token);
    for (const std::string& token : response->lost) {
      held_.erase(token);
      fields.push_back("lost:" + token);
    }
    for (const std::string& token : response->cancelled) held_.erase(token);
    if (!response->leases.empty()) lane_.LeaveWait();
    Add(response->leases, &fields);
    log_.Write("reply", fields);
    return absl::OkStatus();
  }

  // What the session holds, as the lane has it: the lost reply may have leased, and acks may have
  // had their effect.
  absl::Status Reconcile(const std::string& number) {
    while (!stop_.Wait(kRetry)) {
      const absl::StatusOr<std::vector<queue::Lease>> mine = lane_.Mine(session_);
      if (mine.ok()) {
        std::vector<std::string> fields = {number};
        held_.clear();
        Add(*mine, &fields);
        log_.Write("mine", fields);
        return absl::OkStatus();
      }
      if (!absl::IsUnavailable(mine.status())) return mine.status();
    }
    return absl::OkStatus();
  }

  ActorLog log_;
  StopSignal& stop_;
  sim::Dice dice_;
  redis::ConnectionPool pool_;
  queue::RedisJobQueue lane_;
  std::string session_;
  std::map<std::string, Held> held_;  // By token.
  int64_t ticks_ = 0;
};

}  // namespace

absl::Status RunWorker(const ActorOptions& options, StopSignal& stop) {
  ASSIGN_OR_RETURN(ActorLog log, ActorLog::Open(options.log));
  return Worker(options, std::move(log), stop).Run();
}

}  // namespace fairlead::chaos
