#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "tests/bench/queue_cases.h"

namespace fairlead::bench {
namespace {

constexpr int kCallsInFlight = 32;
constexpr absl::Duration kFollow = absl::Milliseconds(20);

// Strides through the projects so that neighbours in time are not neighbours in order.
int ProjectOf(int64_t call, int projects) { return static_cast<int>(call * 617 % projects); }

absl::StatusOr<std::vector<double>> Produce(const redis::RedisOptions& options, const Flow& flow) {
  redis::ConnectionPool pool(options);
  queue::RedisJobQueue lane(&pool, "m0");
  const std::string payload = MakePayload(flow.payload);
  int64_t made = 0, call = 0;
  while (made < flow.jobs) {
    std::vector<std::vector<queue::NewJob>> batches;
    for (int i = 0; i < kCallsInFlight && made < flow.jobs; ++i, ++call) {
      const int project = ProjectOf(call, flow.projects);
      std::vector<queue::NewJob>& batch = batches.emplace_back();
      for (int j = 0; j < flow.batch; ++j, ++made) batch.push_back(MakeJob(made, project, payload));
    }
    ASSIGN_OR_RETURN(auto answers, lane.EnqueueEach(batches));
    for (const auto& answer : answers) {
      RETURN_IF_ERROR(answer.status());
      if (std::count(answer->begin(), answer->end(), false) > 0) {
        return absl::InternalError("a job was there already");
      }
    }
  }
  return std::vector<double>{static_cast<double>(made)};
}

// Keeps as many calls in flight as have found work, and waits when none has.
absl::StatusOr<std::vector<double>> Consume(const redis::RedisOptions& options, const Flow& flow) {
  redis::ConnectionPool pool(options);
  queue::RedisJobQueue lane(&pool, "m0");
  const std::string session = "bench-consumer";
  std::vector<std::vector<queue::Lease>> held;
  int64_t acked = 0;
  size_t calls = 1;
  while (acked < flow.jobs) {
    std::vector<queue::TickRequest> requests;
    int64_t acking = 0;
    for (size_t i = 0; i < std::max(calls, held.size()); ++i) {
      queue::TickRequest& request = requests.emplace_back(MakeTick(session, flow.batch));
      if (i >= held.size()) continue;
      for (queue::Lease& lease : held[i]) {
        queue::Ack& ack = request.acks.emplace_back();
        ack.token = std::move(lease.token);
        ack.result.set_seconds(0.25);
      }
      acking += static_cast<int64_t>(held[i].size());
    }
    held.clear();
    ASSIGN_OR_RETURN(auto answers, lane.TickAll(requests));
    for (auto& answer : answers) {
      RETURN_IF_ERROR(answer.status());
      if (answer->fenced || !answer->lost.empty()) return absl::InternalError("an ack was refused");
      if (!answer->leases.empty()) held.push_back(std::move(answer->leases));
    }
    acked += acking;
    calls = std::clamp<size_t>(2 * held.size(), 1, kCallsInFlight);
    if (held.empty() && acked < flow.jobs) {
      RETURN_IF_ERROR(lane.WaitForWork(absl::Milliseconds(100)).status());
    }
  }
  return std::vector<double>{static_cast<double>(acked)};
}

struct Spent {
  double seconds = 0, cpu = 0, commands = 0;
};

// Lets the children go and does the scheduler's part until both have ended.
absl::StatusOr<Spent> Watch(Server* server, std::vector<Child*> children) {
  int64_t cursor = 0;
  RETURN_IF_ERROR(server->ResetCounters());
  ASSIGN_OR_RETURN(const double cpu, server->CpuSeconds());
  const absl::Time start = absl::Now();
  for (Child* child : children) child->Go();
  while (!children.back()->Ended(kFollow)) {
    RETURN_IF_ERROR(server->FollowEvents(&cursor).status());
  }
  Spent spent;
  spent.seconds = absl::ToDoubleSeconds(absl::Now() - start);
  for (Child* child : children) RETURN_IF_ERROR(child->Result().status());
  ASSIGN_OR_RETURN(const double cpu_after, server->CpuSeconds());
  ASSIGN_OR_RETURN(spent.commands, server->InnerCommands());
  spent.cpu = cpu_after - cpu;
  return spent;
}

}  // namespace

absl::Status RunFlow(const std::string& name, const Flow& flow, Report* report) {
  ASSIGN_OR_RETURN(Server server, Server::Start(flow.durability));
  const redis::RedisOptions options = server.process->client_options();
  ASSIGN_OR_RETURN(auto producer, Child::Fork([&] { return Produce(options, flow); }));
  ASSIGN_OR_RETURN(auto consumer, Child::Fork([&] { return Consume(options, flow); }));
  std::vector<Child*> timed = {producer.get(), consumer.get()};
  if (flow.drain_only) {
    producer->Go();
    RETURN_IF_ERROR(producer->Result().status());
    timed = {consumer.get()};
  }
  ASSIGN_OR_RETURN(const Spent spent, Watch(&server, timed));
  const auto jobs = static_cast<double>(flow.jobs);
  report->Add(name, "rate", jobs / spent.seconds, "1/s");
  report->Add(name, "redis_cpu", spent.cpu * 1e6 / jobs, "us");
  report->Add(name, "redis_commands", spent.commands / jobs, "1");
  return absl::OkStatus();
}

}  // namespace fairlead::bench
