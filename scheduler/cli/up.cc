// fairlead up: the embedded default, a whole Fairlead in one process tree under one data directory.
#include <pthread.h>
#include <signal.h>

#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"
#include "scheduler/cli/cluster.h"
#include "scheduler/cli/command.h"

namespace fairlead::cli {
namespace {

absl::Status RunUp(const GlobalOptions& globals, const ClusterOptions& options) {
  // Blocked before any thread is made, so that every thread inherits it and sigwait gets them all.
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  ASSIGN_OR_RETURN(const auto cluster, LocalCluster::Create(options));
  RETURN_IF_ERROR(cluster->Start());
  const std::string credentials = cluster->options().data_dir + "/credentials.json";
  if (globals.json) {
    const nlohmann::ordered_json ready = {{"address", cluster->address()},
                                          {"tcp_address", cluster->tcp_address()},
                                          {"credentials", credentials},
                                          {"workers", options.workers}};
    std::cout << ready.dump() << std::endl;
  } else {
    std::cout << "ready: " << cluster->address()
              << (options.port == 0 ? "" : absl::StrCat(" and ", cluster->tcp_address()))
              << ", tokens in " << credentials << ", logs in " << cluster->options().data_dir
              << "/log; Ctrl-C stops" << std::endl;
  }
  int signal_number = 0;
  sigwait(&stop, &signal_number);
  std::cerr << "stopping: workers, scheduler, redis\n";
  cluster->Stop();
  return absl::OkStatus();
}

}  // namespace

void AddUpCommand(CommandLine& line) {
  auto options = std::make_shared<ClusterOptions>();
  GlobalOptions& globals = line.globals;
  CLI::App* command = line.Add(nullptr, "up", "Run a whole Fairlead on this machine",
                               "fairlead up --data-dir .fairlead --workers 1 --port 7420",
                               [&globals, options] { return Finish(RunUp(globals, *options)); });
  command->add_option("--data-dir", options->data_dir, "Where everything is kept");
  command->add_option("--workers", options->workers, "Worker processes");
  command->add_option("--worker-threads", options->worker_threads,
                      "Threads of each worker (0: all cores but one, divided)");
  command->add_option("--port", options->port, "TCP port on 127.0.0.1 (0: unix socket only)");
  command->add_flag("--dev", options->dev,
                    "Redis without an append-only file: faster, loses state when Redis is killed");
}

}  // namespace fairlead::cli
