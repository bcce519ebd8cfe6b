// chaos_actor ROLE NAME LOG SEED ADDRESS [TOKEN PROJECT]: one process of the chaos test, see
// actors.h. ROLE is producer, worker (ADDRESS: Redis) or client (ADDRESS: the scheduler).
#include <signal.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "tests/chaos/actors.h"

namespace {

constexpr int kExitUsage = 64;

absl::Status RunRole(const std::string& role, const fairlead::chaos::ActorOptions& options,
                     fairlead::chaos::StopSignal& stop) {
  if (role == "producer") return fairlead::chaos::RunProducer(options, stop);
  if (role == "worker") return fairlead::chaos::RunWorker(options, stop);
  if (role == "client") return fairlead::chaos::RunClient(options, stop);
  return absl::InvalidArgumentError("ROLE is producer, worker or client, not " + role);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  fairlead::chaos::ActorOptions options;
  if (words.size() < 5 || !absl::SimpleAtoi(words[3], &options.seed)) {
    std::fprintf(stderr, "usage: chaos_actor ROLE NAME LOG SEED ADDRESS [TOKEN PROJECT]\n");
    return kExitUsage;
  }
  options.name = words[1];
  options.log = words[2];
  (words[0] == "client" ? options.scheduler : options.redis) = words[4];
  if (words.size() > 6) {
    options.token = words[5];
    options.project = words[6];
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  fairlead::chaos::StopSignal stop;
  const absl::Status done = RunRole(words[0], options, stop);
  if (done.ok()) return 0;
  std::fprintf(stderr, "chaos_actor %s: %s\n", options.name.c_str(), done.ToString().c_str());
  return 1;
}
