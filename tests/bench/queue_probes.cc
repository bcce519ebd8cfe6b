#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "tests/bench/queue_cases.h"

namespace fairlead::bench {
namespace {

constexpr int kProjects = 1000;
constexpr int kBacklog = 100;  // Jobs of each project that floods.

double MicrosNow() { return static_cast<double>(absl::GetCurrentTimeNanos()) / 1000; }

// Leases, waits when there is nothing, and says so on `ready`; returns each job's wait.
absl::StatusOr<std::vector<double>> WaitForJobs(const redis::RedisOptions& options, int samples,
                                                int ready) {
  redis::ConnectionPool pool(options);
  queue::RedisJobQueue lane(&pool, "m0");
  std::vector<double> waits;
  queue::TickRequest request = MakeTick("waiter", 1);
  while (static_cast<int>(waits.size()) < samples) {
    ASSIGN_OR_RETURN(const queue::TickResponse response, lane.Tick(request));
    request.acks.clear();
    if (!response.leases.empty()) {
      const queue::Lease& lease = response.leases[0];
      double enqueued = 0;
      if (!absl::SimpleAtod(lease.job.params().at("p"), &enqueued)) {
        return absl::InternalError("a job without its time");
      }
      waits.push_back(MicrosNow() - enqueued);
      request.acks.resize(1);
      request.acks[0].token = lease.token;
      continue;
    }
    if (write(ready, "r", 1) != 1) return absl::InternalError("nobody listens");
    RETURN_IF_ERROR(lane.WaitForWork(absl::Seconds(5)).status());
  }
  return waits;
}

absl::Status FillFlood(queue::JobQueue* lane, const std::string& payload) {
  int64_t number = 0;
  for (int project = 0; project < kProjects - 1; ++project) {
    std::vector<queue::NewJob> batch;
    for (int i = 0; i < kBacklog; ++i) batch.push_back(MakeJob(number++, project, payload));
    RETURN_IF_ERROR(lane->EnqueueBatch(batch).status());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunIdleWake(int samples, Report* report) {
  ASSIGN_OR_RETURN(Server server, Server::Start(Durability::kNone));
  const redis::RedisOptions options = server.process->client_options();
  int ready[2], never[2];
  if (pipe(ready) != 0 || pipe(never) != 0) return absl::InternalError("no pipe");
  ASSIGN_OR_RETURN(auto waiter,
                   Child::Fork([&] { return WaitForJobs(options, samples, ready[1]); }));
  close(ready[1]);
  waiter->Go();
  queue::RedisJobQueue lane(server.pool.get(), "m0");
  for (int i = 0; i < samples; ++i) {
    char byte = 0;
    if (read(ready[0], &byte, 1) != 1) break;
    // Time for the waiter's BLPOP to arrive: an idle worker, not one about to wait.
    pollfd quiet = {never[0], POLLIN, 0};
    poll(&quiet, 1, 2);
    queue::NewJob job = MakeJob(i, 0, "");
    (*job.record.mutable_params())["p"] = absl::StrCat(static_cast<int64_t>(MicrosNow()));
    RETURN_IF_ERROR(lane.EnqueueBatch({job}).status());
  }
  ASSIGN_OR_RETURN(std::vector<double> waits, waiter->Result());
  for (const int fd : {ready[0], never[0], never[1]}) close(fd);
  std::sort(waits.begin(), waits.end());
  report->Add("idle_wake", "p50", waits[waits.size() / 2], "us");
  report->Add("idle_wake", "p99", waits[waits.size() * 99 / 100], "us");
  return absl::OkStatus();
}

absl::Status RunFlood(Report* report) {
  ASSIGN_OR_RETURN(Server server, Server::Start(Durability::kNone));
  queue::RedisJobQueue lane(server.pool.get(), "m0");
  const std::string payload = MakePayload(128);
  RETURN_IF_ERROR(FillFlood(&lane, payload));
  absl::flat_hash_map<std::string, int> served;
  for (int project = 0; project < kProjects - 1; ++project) {
    served[absl::StrCat("bench/p", project)] = 0;
  }
  const std::string single = absl::StrCat("bench/p", kProjects - 1);
  queue::TickRequest request = MakeTick("flood", 10);
  int leased = 0, gap = 0, waited_jobs = -1;
  absl::Time enqueued;
  absl::Duration waited;
  // The flood runs for a while before the single job comes.
  const int comes_at = kProjects * kBacklog / 4;
  bool all_backlogged = true;
  while (all_backlogged || waited_jobs < 0) {
    if (leased >= comes_at && enqueued == absl::Time()) {
      enqueued = absl::Now();
      RETURN_IF_ERROR(lane.EnqueueBatch({MakeJob(10'000'000, kProjects - 1, payload)}).status());
      waited_jobs = -leased;
    }
    ASSIGN_OR_RETURN(queue::TickResponse response, lane.Tick(request));
    if (response.leases.empty()) return absl::InternalError("the flood ran dry");
    request.acks.clear();
    for (queue::Lease& lease : response.leases) {
      ++leased;
      request.acks.emplace_back().token = std::move(lease.token);
      if (lease.job.model() == single) {
        waited = absl::Now() - enqueued;
        waited_jobs += leased;
        continue;
      }
      all_backlogged = ++served[lease.job.model()] < kBacklog && all_backlogged;
    }
    if (!all_backlogged) continue;
    int least = kBacklog, most = 0;
    for (const auto& [project, count] : served) {
      least = std::min(least, count);
      most = std::max(most, count);
    }
    gap = std::max(gap, most - least);
  }
  report->Add("flood", "max_wait", absl::ToDoubleMilliseconds(waited), "ms");
  report->Add("flood", "max_wait_jobs", waited_jobs, "1");
  report->Add("flood", "service_gap", gap, "1");
  return absl::OkStatus();
}

absl::Status RunMemory(Report* report) {
  ASSIGN_OR_RETURN(Server server, Server::Start(Durability::kNone));
  queue::RedisJobQueue lane(server.pool.get(), "m0");
  RETURN_IF_ERROR(lane.Stats().status());
  ASSIGN_OR_RETURN(const int64_t before, server.UsedMemory());
  const std::string payload = MakePayload(128);
  constexpr int kEach = 100;
  for (int project = 0; project < kProjects; ++project) {
    std::vector<queue::NewJob> batch;
    for (int i = 0; i < kEach; ++i) {
      batch.push_back(MakeJob(int64_t{project} * kEach + i, project, payload));
    }
    RETURN_IF_ERROR(lane.EnqueueBatch(batch).status());
  }
  ASSIGN_OR_RETURN(const int64_t after, server.UsedMemory());
  report->Add("memory", "bytes_per_job", static_cast<double>(after - before) / (kProjects * kEach),
              "B");
  return absl::OkStatus();
}

absl::Status RunFloor(Report* report) {
  ASSIGN_OR_RETURN(Server server, Server::Start(Durability::kNone));
  RETURN_IF_ERROR(
      server.pool
          ->Call({"FUNCTION", "LOAD",
                  "#!lua name=bench\n"
                  "redis.register_function('fl_bench_nothing', function() return 1 end)"})
          .status());
  constexpr int kRounds = 500, kDepth = 100;
  const std::vector<std::pair<std::string, redis::Arguments>> floors = {
      {"", {"FCALL", "fl_bench_nothing", "0"}}, {"ping_", {"PING"}}};
  for (const auto& [prefix, command] : floors) {
    const std::vector<redis::Arguments> pipeline(kDepth, command);
    ASSIGN_OR_RETURN(const double cpu, server.CpuSeconds());
    const absl::Time start = absl::Now();
    for (int i = 0; i < kRounds; ++i) RETURN_IF_ERROR(server.pool->Pipeline(pipeline).status());
    const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
    ASSIGN_OR_RETURN(const double cpu_after, server.CpuSeconds());
    report->Add("floor", absl::StrCat(prefix, "rate"), kRounds * kDepth / seconds, "1/s");
    report->Add("floor", absl::StrCat(prefix, "redis_cpu"),
                (cpu_after - cpu) * 1e6 / (kRounds * kDepth), "us");
  }
  return absl::OkStatus();
}

}  // namespace fairlead::bench
