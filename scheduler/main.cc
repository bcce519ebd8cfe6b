// fairlead-scheduler: flags, signals, exit codes.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/log.h"
#include "scheduler/server.h"

namespace {

constexpr int kExitSetting = 64;  // A setting is wrong: starting again changes nothing.

void AddAge(CLI::App& app, const std::string& name, absl::Duration& age, const std::string& help) {
  app.add_option_function<std::string>(
         name,
         [name, &age](const std::string& text) {
           if (!absl::ParseDuration(text, &age)) {
             throw CLI::ValidationError(name, "'" + text + "' is no duration, like 90m or 168h");
           }
         },
         help)
      ->default_str(absl::FormatDuration(age));
}

void AddRetention(CLI::App& app, fairlead::operate::Retention& retention) {
  AddAge(app, "--task_retention", retention.ended,
         "How long ended tasks stay in Redis (the record log keeps them)");
  app.add_option("--task_retention_count", retention.ended_count,
                 "Ended tasks a shard keeps in Redis at most; the oldest leave first")
      ->capture_default_str();
  AddAge(app, "--dead_retention", retention.dead, "How long dead letters can be replayed");
  app.add_option("--dead_retention_count", retention.dead_count,
                 "Dead letters a shard keeps at most; the oldest leave first")
      ->capture_default_str();
}

}  // namespace

int main(int argc, char** argv) {
  // Debian's libraries are built to look for deadlocks at every lock that gRPC takes.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  fairlead::scheduler::ServerOptions options;
  std::string password_file;
  CLI::App app{
      "Fairlead's scheduler: serves clients and contractors, dispatches, labels, learns.\n"
      "Example: fairlead-scheduler --redis unix:/run/redis.sock --data /var/lib/fairlead "
      "--listen 0.0.0.0:7000"};
  app.add_option("--redis", options.redis.address, "Redis: unix:/path or host:port")
      ->required()
      ->take_last();
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
  AddRetention(app, options.retention);
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
