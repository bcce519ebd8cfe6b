// fairlead-scheduler: flags, signals, exit codes.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "common/base/log.h"
#include "scheduler/server.h"

namespace {

constexpr int kExitSetting = 64;  // A setting is wrong: starting again changes nothing.

}  // namespace

int main(int argc, char** argv) {
  fairlead::scheduler::ServerOptions options;
  std::string password_file;
  CLI::App app{
      "Fairlead's scheduler: serves clients and contractors, dispatches, labels, learns.\n"
      "Example: fairlead-scheduler --redis unix:/run/redis.sock --data /var/lib/fairlead "
      "--listen 0.0.0.0:7000"};
  app.add_option("--redis", options.redis.address, "Redis: unix:/path or host:port")->required();
  app.add_option("--redis_user", options.redis.user, "Redis ACL user");
  app.add_option("--redis_password_file", password_file, "File with the Redis password");
  app.add_option("--data", options.data_directory, "Directory of the record log and the blobs")
      ->required();
  app.add_option("--listen", options.listen,
                 "Where to serve gRPC: unix:/path or host:port; repeatable")
      ->required();
  app.add_option("--health_listen", options.health_listen,
                 "Where to serve gRPC health only, for probes");
  app.add_option("--metrics_address", options.metrics_address,
                 "Where to serve GET /metrics, host:port");
  app.add_option("--bootstrap_operator_token_file", options.bootstrap_operator_token_file,
                 "File with a first operator's secret");
  app.add_option("--replica", options.replica, "Name of this replica");
  app.add_option("--shards", options.topology.shards, "Task shards, fixed at creation");
  app.add_option("--homes", options.topology.homes, "Contractor homes, fixed at creation");
  app.add_flag("--dev", options.dev_mode,
               "Allow a Redis without AOF: acknowledged work may be lost");
  CLI11_PARSE(app, argc, argv);
  fairlead::SetLogProcessName("scheduler");
  if (!password_file.empty()) {
    std::ifstream file(password_file);
    options.redis.password.assign(std::istreambuf_iterator<char>(file),
                                  std::istreambuf_iterator<char>());
    absl::StripAsciiWhitespace(&options.redis.password);
  }
  // Blocked before any thread starts, so that only sigwait below sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto server = fairlead::scheduler::Server::Start(options);
  if (!server.ok()) {
    std::fprintf(stderr, "fairlead-scheduler: %s\n",
                 std::string(server.status().message()).c_str());
    return kExitSetting;
  }
  FAIRLEAD_LOG(INFO) << "serving address=" << options.listen[0];
  int signal = 0;
  sigwait(&signals, &signal);
  FAIRLEAD_LOG(INFO) << "stopping signal=" << signal;
  (*server)->Shutdown();
  return 0;
}
