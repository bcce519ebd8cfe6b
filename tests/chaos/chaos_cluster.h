// A cluster of real processes under load in both lanes, behind proxies that lose and delay, and
// everything that the test does to it.
//
//   clients ──gRPC──▶ scheduler ──TCP proxy──▶ redis-server ◀──unix proxy── producers, workers
//
// Redis syncs every write before it answers: what an actor was told is on disk, so the machine lane
// must keep it through a kill. (Tasks are safe without, by the record log.)
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/queue/redis_job_queue.h"
#include "common/redis/connection.h"
#include "tests/chaos/lane_checker.h"
#include "tests/e2e/load.h"
#include "tests/support/fault_proxy.h"

namespace fairlead::chaos {

enum class Strike {
  kKillScheduler,
  kKillRedis,
  kKillSchedulerAndRedis,
  kKillProducer,
  kKillWorker,
  kKillClient,
  kStopScheduler,
  kStopRedis,
  kStopProducer,
  kStopWorker,
  kStopClient,
  kKillConnections,
  kFillRedis,  // With a kill of the scheduler while it is full.
  kLosingNetwork,
  kSlowNetwork,
  kEmptyRedis,
};
inline constexpr int kStrikes = static_cast<int>(Strike::kEmptyRedis) + 1;
const char* NameOf(Strike strike);

class ChaosCluster : public e2e::LoadTest {
 protected:
  static constexpr int kProducers = 2;
  static constexpr int kWorkers = 3;
  static constexpr int kMostTasks = 10'000;

  void TearDown() override;

  // Starts everything; what the network loses follows from `seed`.
  void Begin(uint64_t seed);
  // Does it, undoes what has to be undone, and returns once it has shown: a process that was killed
  // or stopped is acknowledged again. `lot` picks the victim and how long it stands still.
  void Do(Strike strike, int lot);
  // Returns once so much more has been acknowledged: the load goes on.
  void AwaitProgress(int jobs, int job_ends, int task_calls);
  // Ends the load, lets everything come to its end, and checks the logs of all sides.
  void EndAndCheck();

 private:
  // What the logs say so far.
  struct Counts {
    int64_t jobs = 0;                         // Enqueues acknowledged.
    int64_t job_ends = 0;                     // Acks sent in ticks that were answered.
    int64_t task_calls = 0;                   // Submits acknowledged.
    std::map<std::string, int64_t> answers;   // Of each actor.
    std::map<std::string, int64_t> refusals;  // For want of room, of each actor.
  };

  void StartProxies(uint64_t seed);
  void StartActor(const std::string& role, const std::string& name, uint64_t seed,
                  const std::vector<std::string>& arguments);
  const Counts& ReadLogs();
  void CountEntry(const std::string& actor, const Entry& entry);
  void AwaitAnswers(const std::string& actor);
  void Kill(const std::string& victim);
  void Stop(const std::string& victim, absl::Duration pause);
  void KillBothAndMaybeErase(bool erase);
  void FillRedis();
  void Disturb(int loss, int delay);
  // An operator's command to Redis, until it is answered.
  redis::Reply Ask(const redis::Arguments& command);
  void EndLoad();
  void CheckLaneAtRest();
  std::vector<JobEnd> EndsInTheRecordLog(int64_t* last_seq);

  std::unique_ptr<testing::FaultProxy> scheduler_proxy_, lane_proxy_;
  std::atomic<int> loss_{0}, delay_{0};  // Of 1,000 calls each.
  std::unique_ptr<redis::ConnectionPool> pool_;
  std::unique_ptr<queue::RedisJobQueue> lane_;
  std::unique_ptr<cli::Truth> truth_;
  std::unique_ptr<cli::Simulator> contractors_;
  std::unique_ptr<cli::ResultsLog> results_;
  std::string project_;
  std::vector<std::string> actors_;
  std::map<std::string, int64_t> offsets_;
  std::map<std::string, int> acks_under_way_;  // Of a worker's last tick.
  LaneHistory history_;
  Counts counts_;
  std::vector<std::thread> pauses_;
};

}  // namespace fairlead::chaos
