// The processes of the chaos test that are not Fairlead's own: they do what producers, workers and
// clients do, write down what they were told (actor_log.h), and go on from their log after a kill.
// Each runs until SIGTERM, which must be blocked before any thread begins, then brings what is
// under way to its end; exit code 0.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/queue/job_queue.h"
#include "tests/sim/dice.h"

namespace fairlead::chaos {

// The end that SIGTERM asks for.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  // Waits for `pace` at most; true once it was asked for.
  bool Wait(absl::Duration pace);

 private:
  const int fd_;
  bool asked_ = false;
};

struct ActorOptions {
  std::string name;   // Of the process: part of the ids it makes.
  std::string log;    // Its actor log.
  std::string redis;  // Producer, worker: the address of Redis, or of a proxy before it.
  std::string scheduler, token, project;  // Client.
  uint64_t seed = 1;
};

inline constexpr int kTasksOfACall = 5;

// The job that a producer sends under this id: a repetition says the same.
queue::NewJob JobOf(const std::string& id);

// Each returns the first error that no repetition mends.
absl::Status RunProducer(const ActorOptions& options, StopSignal& stop);
absl::Status RunWorker(const ActorOptions& options, StopSignal& stop);
absl::Status RunClient(const ActorOptions& options, StopSignal& stop);

}  // namespace fairlead::chaos
