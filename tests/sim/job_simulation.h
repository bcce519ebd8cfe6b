// A seeded history of one machine lane: a producer, workers, reapers, an operator and the clock,
// over a connection that loses requests and replies. Calls come twice and late; workers crash
// between any two calls, resume by asking what they hold, or go on as zombies under tokens that are
// somebody else's by now. After every call the lane is checked (checked_lane.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tests/fakes/faulty_job_queue.h"
#include "tests/queue/lane_fixture.h"
#include "tests/sim/checked_lane.h"
#include "tests/sim/dice.h"

namespace fairlead::sim {

// All that happens is a function of the seed and of what the lane answers.
class JobSimulation {
 public:
  // `lane` must be empty and outlives this. With `fingerprints` the trace tells all of the state,
  // for a comparison of two lanes.
  JobSimulation(uint64_t seed, queue::Lane* lane, bool fingerprints);

  // One step, then every check. Not OK: what was violated, and how.
  absl::Status Step();
  // What was done and answered, one line a step.
  const std::vector<std::string>& trace() const { return trace_; }
  // All of the state after the last step, when it is told.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  struct Worker {
    std::string session;
    std::vector<std::string> kinds;
    queue::Capabilities able;
    std::vector<queue::Lease> held;  // As it believes.
  };
  // A call that can be made again as it is. Returns what it says in the trace.
  using Call = std::function<std::string()>;

  int Pick(int n) { return dice_.Below(n); }
  std::string AnyJob();
  std::vector<std::string> AnyJobs();
  std::string AnyFlow();
  std::string AnyToken();
  std::string Names(const std::vector<std::string>& tokens) const;
  void Do(const std::string& what, Call call);
  queue::NewJob NewJob();
  void Begin(Worker& worker);
  queue::TickRequest TickOf(const Worker& worker, int want);
  void AddSettlements(const std::vector<std::string>& tokens, queue::TickRequest* request);
  std::string TickAs(size_t worker, const queue::TickRequest& request);

  void LearnClasses();
  void Produce();
  void Work();
  void Beat();
  void Resume();
  void Crash();
  void HauntAsZombie();
  void Reap();
  void Cancel();
  void Replay();
  void Purge();
  void Drain();
  void Limit();
  void Keep();
  void Ask();
  void PassTime();
  void Redeliver();

  Dice dice_;
  queue::Lane* const lane_;
  CheckedLane checked_;
  testing::FaultyJobQueue queue_;
  bool calm_ = true;  // No call is lost.
  std::vector<Worker> workers_;
  std::vector<std::string> tokens_;                 // Every one that somebody got to see.
  std::vector<std::string> sessions_;               // Every one there was.
  std::vector<std::pair<std::string, Call>> lost_;  // Without a reply; may come again.
  std::vector<std::string> trace_;
  const bool fingerprints_;
  std::string fingerprint_;
  int serial_ = 0;  // Of sessions and texts.
};

// Runs `steps` of one seed. Not OK: the violation, the seed, and the whole trace.
absl::Status RunJobSeed(uint64_t seed, int steps, queue::Lane* lane);

}  // namespace fairlead::sim
