#include "tests/chaos/chaos_cluster.h"

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/record_log/record_log.h"
#include "common/redis/keys.h"
#include "fairlead/store/v1/records.pb.h"
#include "tests/chaos/actors.h"
#include "tests/sim/dice.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"

namespace fairlead::chaos {
namespace {

using testing::Eventually;
using testing::NetFault;

constexpr char kClient[] = "client";
constexpr absl::Duration kPatience = absl::Seconds(60);  // A bound against hanging, no measure.
constexpr int kUsualLoss = 2;                            // Of 1,000 calls.
constexpr int kUsualDelay = 5;

std::string ProducerName(int index) { return absl::StrCat("producer-", index); }
std::string JobWorkerName(int index) { return absl::StrCat("lane-worker-", index); }

}  // namespace

const char* NameOf(Strike strike) {
  static constexpr const char* kNames[kStrikes] = {
      "kill the scheduler", "kill redis",      "kill scheduler and redis",
      "kill a producer",    "kill a worker",   "kill the client",
      "stop the scheduler", "stop redis",      "stop a producer",
      "stop a worker",      "stop the client", "kill connections",
      "redis at maxmemory", "lose calls",      "delay replies",
      "empty redis"};
  return kNames[static_cast<int>(strike)];
}

void ChaosCluster::TearDown() {
  for (std::thread& pause : pauses_) pause.join();
  pauses_.clear();
  results_.reset();
  contractors_.reset();
  for (const std::string& actor : actors_) cluster().Kill(actor, /*stay_down=*/true).IgnoreError();
  LoadTest::TearDown();
  scheduler_proxy_.reset();
  lane_proxy_.reset();
  lane_.reset();
  pool_.reset();
  actors_.clear();
  offsets_.clear();
  history_ = LaneHistory();
  counts_ = Counts();
}

void ChaosCluster::StartProxies(uint64_t seed) {
  const std::string socket = directory() + "/run/redis.sock";
  auto tcp = testing::FaultProxy::StartTcp(socket);
  ASSERT_OK(tcp);
  scheduler_proxy_ = *std::move(tcp);
  auto local = testing::FaultProxy::Start(directory() + "/lane.sock", socket);
  ASSERT_OK(local);
  lane_proxy_ = *std::move(local);
  for (testing::FaultProxy* proxy : {scheduler_proxy_.get(), lane_proxy_.get()}) {
    proxy->SetPlan([this, dice = sim::Dice(seed++)](absl::string_view) mutable {
      const int lot = dice.Below(1000);
      const int loss = loss_.load();
      if (lot < loss) return lot % 3 == 0 ? NetFault::kLoseRequest : NetFault::kLoseReply;
      return lot < loss + delay_.load() ? NetFault::kDelayReply : NetFault::kNone;
    });
  }
}

void ChaosCluster::StartActor(const std::string& role, const std::string& name, uint64_t seed,
                              const std::vector<std::string>& arguments) {
  cli::ChildSpec spec;
  spec.name = name;
  spec.argv = {FAIRLEAD_CHAOS_ACTOR, role, name, directory() + "/" + name + ".actor",
               absl::StrCat(seed)};
  spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
  spec.log_file = absl::StrCat(directory(), "/log/", name, ".log");
  spec.pid_file = absl::StrCat(directory(), "/run/", name, ".pid");
  spec.stop_timeout = kPatience;
  cluster().supervisor().Add(spec);
  ASSERT_OK(cluster().supervisor().Start(name));
  actors_.push_back(name);
}

void ChaosCluster::Begin(uint64_t seed) {
  ASSERT_NO_FATAL_FAILURE(StartProxies(seed));
  ASSERT_NO_FATAL_FAILURE(StartCluster(0, {"--redis", scheduler_proxy_->address()}));
  redis::RedisOptions options;
  options.address = absl::StrCat("unix:", cluster().redis_socket());
  pool_ = std::make_unique<redis::ConnectionPool>(options);
  lane_ = std::make_unique<queue::RedisJobQueue>(pool_.get(), "m0");
  Ask({"CONFIG", "SET", "appendfsync", "always"});
  Ask({"CONFIG", "REWRITE"});
  queue::Retention retention;
  retention.count = 1'000'000;  // A repeated enqueue must find the job, however late it comes.
  ASSERT_OK(lane_->SetRetention(retention));
  project_ = CreateClassProject("chaos");
  truth_ = std::make_unique<cli::Truth>();
  contractors_ = StartContractors(truth_.get(), kMostTasks);
  ASSERT_NE(contractors_, nullptr);
  results_ = std::make_unique<cli::ResultsLog>(client(), project_);
  for (int i = 0; i < kProducers; ++i) {
    StartActor("producer", ProducerName(i), seed + 10 + i, {lane_proxy_->address()});
  }
  for (int i = 0; i < kWorkers; ++i) {
    StartActor("worker", JobWorkerName(i), seed + 20 + i, {lane_proxy_->address()});
  }
  StartActor("client", kClient, seed,
             {cluster().address(), cluster().credentials().client_token, project_});
  loss_ = kUsualLoss;
  delay_ = kUsualDelay;
}

void ChaosCluster::CountEntry(const std::string& actor, const Entry& entry) {
  if (entry.kind == "sent") {
    int& acks = acks_under_way_[actor] = 0;
    for (const std::string& field : entry.fields) acks += absl::StartsWith(field, "ack:");
  }
  if (entry.kind == "refused" && absl::EndsWith(entry.fields[0], "_FULL")) {
    ++counts_.refusals[actor];
  }
  if (entry.kind == "acked" && actor != kClient) {
    counts_.jobs += static_cast<int64_t>(entry.fields.size());
  }
  if (entry.kind == "acked" && actor == kClient) ++counts_.task_calls;
  if (entry.kind == "reply") counts_.job_ends += acks_under_way_[actor];
  if (entry.kind == "acked" || entry.kind == "reply") ++counts_.answers[actor];
}

const ChaosCluster::Counts& ChaosCluster::ReadLogs() {
  for (const std::string& actor : actors_) {
    auto entries = ReadEntries(directory() + "/" + actor + ".actor", &offsets_[actor]);
    EXPECT_OK(entries);
    if (!entries.ok()) continue;
    for (Entry& entry : *entries) {
      CountEntry(actor, entry);
      history_.logs[actor].push_back(std::move(entry));
    }
  }
  return counts_;
}

void ChaosCluster::AwaitProgress(int jobs, int job_ends, int task_calls) {
  const Counts from = ReadLogs();
  EXPECT_TRUE(Eventually(kPatience,
                         [&] {
                           const Counts& now = ReadLogs();
                           return now.jobs >= from.jobs + jobs &&
                                  now.job_ends >= from.job_ends + job_ends &&
                                  now.task_calls >= from.task_calls + task_calls;
                         }))
      << "the load stands still: jobs " << counts_.jobs - from.jobs << " of " << jobs << ", ends "
      << counts_.job_ends - from.job_ends << " of " << job_ends << ", calls "
      << counts_.task_calls - from.task_calls << " of " << task_calls;
}

void ChaosCluster::AwaitAnswers(const std::string& actor) {
  const Counts from = ReadLogs();
  const auto answers = [&actor](const Counts& counts) {
    const auto found = counts.answers.find(actor);
    return found == counts.answers.end() ? 0 : found->second;
  };
  EXPECT_TRUE(Eventually(kPatience, [&] { return answers(ReadLogs()) > answers(from) + 1; }))
      << actor << " is told nothing any more";
}

void ChaosCluster::Kill(const std::string& victim) {
  EXPECT_OK(cluster().Kill(victim));
  if (victim != cli::kScheduler && victim != cli::kRedis) AwaitAnswers(victim);
}

// SIGSTOP now, SIGCONT after `pause`, while the load goes on.
void ChaosCluster::Stop(const std::string& victim, absl::Duration pause) {
  const pid_t pid = cluster().supervisor().Pid(victim);
  if (pid <= 0) return;  // Down already.
  kill(pid, SIGSTOP);
  pauses_.emplace_back([pid, pause] {
    Eventually(pause, [] { return false; });
    kill(pid, SIGCONT);
  });
  if (victim != cli::kScheduler && victim != cli::kRedis) AwaitAnswers(victim);
}

void ChaosCluster::KillBothAndMaybeErase(bool erase) {
  EXPECT_OK(cluster().Kill(cli::kRedis, /*stay_down=*/true));
  if (erase) {
    EXPECT_OK(cluster().EraseRedis());
    history_.lane_lost = true;
  } else {
    EXPECT_OK(cluster().Kill(cli::kScheduler));
  }
  EXPECT_OK(cluster().StartOne(cli::kRedis));
  if (!erase) return;
  // Jobs are not in the record log: who wants them enqueues them again, under their ids. A producer
  // that was answered since has written down what was acknowledged before.
  for (int i = 0; i < kProducers; ++i) AwaitAnswers(ProducerName(i));
  std::vector<queue::NewJob> again;
  for (const auto& [name, entries] : history_.logs) {
    if (name == kClient) continue;
    for (const Entry& entry : entries) {
      if (entry.kind != "acked") continue;
      for (const std::string& id : entry.fields) again.push_back(JobOf(id));
    }
  }
  for (size_t at = 0; at < again.size(); at += queue::kMaxEnqueue) {
    const size_t end = std::min(again.size(), at + queue::kMaxEnqueue);
    const std::vector<queue::NewJob> batch(again.begin() + static_cast<int64_t>(at),
                                           again.begin() + static_cast<int64_t>(end));
    EXPECT_TRUE(Eventually(kPatience, [&] { return lane_->EnqueueBatch(batch).ok(); }));
  }
}

redis::Reply ChaosCluster::Ask(const redis::Arguments& command) {
  absl::StatusOr<redis::Reply> reply;
  // Redis may be on its way back from the strike before.
  EXPECT_TRUE(Eventually(kPatience, [&] {
    reply = pool_->Call(command);
    return reply.ok();
  })) << reply.status();
  return reply.ok() ? *std::move(reply) : redis::Reply();
}

// New tasks and jobs are refused, and that is all: a scheduler that is killed meanwhile comes back
// and serves.
void ChaosCluster::FillRedis() {
  const redis::Reply before = Ask({"CONFIG", "GET", "maxmemory"});
  ASSERT_EQ(before.elements.size(), 2u);
  Ask({"CONFIG", "SET", "maxmemory", "1"});
  const Counts from = ReadLogs();
  EXPECT_TRUE(Eventually(kPatience, [&] {
    const Counts& now = ReadLogs();
    return now.refusals.size() == kProducers + 1 && now.refusals != from.refusals;
  })) << "a full Redis took new jobs or tasks";
  EXPECT_OK(cluster().Kill(cli::kScheduler));
  EXPECT_OK(cluster().WaitReady(kPatience)) << "while Redis is full";
  Ask({"CONFIG", "SET", "maxmemory", before.elements[1].AsText()});
}

// A worse network for as long as it takes to show.
void ChaosCluster::Disturb(int loss, int delay) {
  const int faults[] = {scheduler_proxy_->faults(), lane_proxy_->faults()};
  loss_ = loss;
  delay_ = delay;
  EXPECT_TRUE(Eventually(kPatience, [&] {
    return scheduler_proxy_->faults() >= faults[0] + 25 && lane_proxy_->faults() >= faults[1] + 25;
  }));
  loss_ = kUsualLoss;
  delay_ = kUsualDelay;
}

void ChaosCluster::Do(Strike strike, int lot) {
  const std::string producer = ProducerName(lot % kProducers);
  const std::string worker = JobWorkerName(lot % kWorkers);
  const absl::Duration pause = absl::Milliseconds(200 + lot % 2000);
  switch (strike) {
    case Strike::kKillScheduler:
      return Kill(cli::kScheduler);
    case Strike::kKillRedis:
      return Kill(cli::kRedis);
    case Strike::kKillSchedulerAndRedis:
      return KillBothAndMaybeErase(/*erase=*/false);
    case Strike::kKillProducer:
      return Kill(producer);
    case Strike::kKillWorker:
      return Kill(worker);
    case Strike::kKillClient:
      return Kill(kClient);
    case Strike::kStopScheduler:
      return Stop(cli::kScheduler, pause);
    case Strike::kStopRedis:
      return Stop(cli::kRedis, pause);
    case Strike::kStopProducer:
      return Stop(producer, pause);
    case Strike::kStopWorker:  // Past the end of its lease: what it says then is a zombie's.
      return Stop(worker, pause + absl::Seconds(2));
    case Strike::kStopClient:
      return Stop(kClient, pause);
    case Strike::kKillConnections:
      Ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
      return;
    case Strike::kFillRedis:
      return FillRedis();
    case Strike::kLosingNetwork:
      return Disturb(/*loss=*/150, /*delay=*/0);
    case Strike::kSlowNetwork:
      return Disturb(/*loss=*/0, /*delay=*/300);
    case Strike::kEmptyRedis:
      return KillBothAndMaybeErase(/*erase=*/true);
  }
}

void ChaosCluster::EndLoad() {
  for (std::thread& pause : pauses_) pause.join();
  pauses_.clear();
  loss_ = 0;
  delay_ = 0;
  EXPECT_OK(cluster().WaitReady(kPatience));
  for (int i = 0; i < kProducers; ++i) EXPECT_OK(cluster().StopOne(ProducerName(i)));
  EXPECT_OK(cluster().StopOne(kClient));
  ReadLogs();
  for (const std::string& actor : actors_) {
    if (absl::StartsWith(actor, "lane-worker")) continue;
    ASSERT_FALSE(history_.logs[actor].empty());
    EXPECT_EQ(history_.logs[actor].back().kind, "acked") << actor << " was not answered to the end";
  }
}

// Nothing waits any more, and what has ended is what was enqueued.
void ChaosCluster::CheckLaneAtRest() {
  int64_t left = 0;
  int64_t ended = 0;
  EXPECT_TRUE(Eventually(kPatience,
                         [&] {
                           const auto stats = lane_->Stats();
                           if (!stats.ok()) return false;
                           left = ended = 0;
                           for (const queue::LaneStats& kind : *stats) {
                             left += kind.ready + kind.delayed + kind.leased;
                             ended += kind.done + kind.dead;
                           }
                           return left == 0;
                         }))
      << left << " jobs are left";
  for (int i = 0; i < kWorkers; ++i) EXPECT_OK(cluster().StopOne(JobWorkerName(i)));
  ReadLogs();
  if (!history_.lane_lost) {
    EXPECT_EQ(ended, counts_.jobs);
  }
}

std::vector<JobEnd> ChaosCluster::EndsInTheRecordLog(int64_t* last_seq) {
  std::vector<JobEnd> ends;
  RecordLogOptions options;
  options.directory = directory() + "/scheduler/log";
  auto log = RecordLog::Open(options);
  EXPECT_OK(log);
  if (!log.ok()) return ends;
  EXPECT_OK((*log)->Read(0, [&](int64_t, absl::string_view record) {
    store::v1::Event event;
    if (!event.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
      return absl::DataLossError("a record is no event");
    }
    if (event.slot() == "m0") *last_seq = std::max(*last_seq, static_cast<int64_t>(event.seq()));
    for (const store::v1::JobFinished& one : event.jobs_finished().jobs()) {
      ends.push_back({one.job().job(), one.result().artefact_blob()});
    }
    return absl::OkStatus();
  }));
  return ends;
}

void ChaosCluster::EndAndCheck() {
  ASSERT_NO_FATAL_FAILURE(EndLoad());
  std::set<std::string> tasks;
  for (const Entry& entry : history_.logs[kClient]) {
    if (entry.kind == "acked") tasks.insert(entry.fields.begin(), entry.fields.end());
  }
  const auto count = static_cast<int64_t>(tasks.size());
  ASSERT_TRUE(results_->WaitEnded(count, absl::Seconds(120)))
      << results_->ended() << " of " << count << " ended; " << results_->status();
  EXPECT_TRUE(contractors_->Drain(kPatience));
  CheckOutcomes(*results_, tasks);
  CheckPay(*contractors_, project_, count);
  CheckLaneAtRest();
  const redis::Reply seq = Ask({"GET", redis::SequenceKey("m0")});
  results_.reset();
  contractors_.reset();
  cluster().Stop();
  int64_t logged = 0;
  history_.ends = EndsInTheRecordLog(&logged);
  EXPECT_EQ(logged, seq.AsInt()) << "the record log is behind at rest";
  history_.logs.erase(kClient);
  for (const std::string& wrong : CheckLane(history_)) ADD_FAILURE() << wrong;
  std::printf("  %d tasks and %d jobs acknowledged, %d job ends, %d calls lost or delayed\n",
              static_cast<int>(count), static_cast<int>(counts_.jobs),
              static_cast<int>(history_.ends.size()),
              scheduler_proxy_->faults() + lane_proxy_->faults());
}

}  // namespace fairlead::chaos
