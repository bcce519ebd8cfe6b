// fairlead-worker: leases training and prelabel jobs and runs them. Exit codes: 0 it drained while
// idle, 64 a bad setting, 75 it drained and handed an unfinished job back (EX_TEMPFAIL).
#include <fcntl.h>
#include <signal.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/program.h"
#include "common/base/status.h"
#include "common/base/step_aside.h"
#include "common/queue/redis_job_queue.h"
#include "common/redis/connection.h"
#include "common/rpc/grpc_blob_client.h"
#include "worker/agent.h"
#include "worker/check_job.h"
#include "worker/load_test.h"
#include "worker/prelabel_job.h"
#include "worker/scratch.h"
#include "worker/train_job.h"

namespace fairlead::worker {
namespace {

constexpr int kExitUsage = 64;
constexpr int kExitInterrupted = 75;
constexpr absl::Duration kKeepScratch = absl::Hours(24 * 7);

const std::vector<std::string> kAllKinds = {"train-ocr", "prelabel-ocr", "check-ocr",
                                            "train-reward", "prelabel-reward"};

struct Flags {
  std::string redis;
  std::string redis_user;
  std::string redis_password_file;
  std::string scheduler;
  std::string token_file;
  std::string scratch;
  std::vector<std::string> kinds = kAllKinds;
  int threads = 1;
  std::string device = "auto";
  std::vector<std::string> labels;
  int64_t memory_mib = 0;
  std::string lane = "m0";
  double lease_seconds = 10;
  double checkpoint_seconds = 30;
  int64_t cache_mib = 4096;
  std::string metrics_address;
  int nice = 10;
};

void Declare(CLI::App& app, Flags& flags) {
  app.add_option("--redis", flags.redis, "Redis: unix:/path or host:port")->required();
  app.add_option("--redis_user", flags.redis_user, "ACL user at Redis");
  app.add_option("--redis_password_file", flags.redis_password_file, "File with its password");
  app.add_option("--scheduler", flags.scheduler, "Scheduler for blobs: host:port or unix:path")
      ->required();
  app.add_option("--token_file", flags.token_file, "File with the worker's bearer token");
  app.add_option("--scratch", flags.scratch, "Directory for checkpoints and the blob cache")
      ->required();
  app.add_option("--kinds", flags.kinds, "Kinds of job to lease, separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember(kAllKinds))
      ->capture_default_str();
  app.add_option("--threads", flags.threads, "CPU threads of the trainer; part of its results")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--device", flags.device, "Where to compute")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--labels", flags.labels, "Labels that jobs may require, separated by commas")
      ->delimiter(',');
  app.add_option("--memory_mib", flags.memory_mib, "Memory of the device that jobs may require")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--lane", flags.lane, "Machine lane to lease from")->capture_default_str();
  app.add_option("--lease_seconds", flags.lease_seconds, "Lease; heartbeats at a third of it")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  app.add_option("--checkpoint_seconds", flags.checkpoint_seconds, "Seconds between checkpoints")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  app.add_option("--cache_mib", flags.cache_mib,
                 "MiB of blobs, and of decoded images, kept on disk")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--nice", flags.nice, "Added to its niceness: who shares the machine goes first")
      ->check(CLI::Range(0, 19))
      ->capture_default_str();
  app.add_option("--metrics_address", flags.metrics_address, "host:port that serves /metrics");
  app.footer(
      "Example: fairlead-worker --redis unix:/run/fairlead/redis.sock --scheduler localhost:7000 "
      "--token_file worker.token --scratch /var/lib/fairlead/scratch --threads 2");
}

absl::StatusOr<std::string> ReadSecret(const std::string& path) {
  if (path.empty()) return std::string();
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  return std::string(absl::StripAsciiWhitespace(text));
}

std::string Describe(const Flags& flags) {
  utsname host = {};
  uname(&host);
  return nlohmann::json{{"host", host.nodename},
                        {"pid", getpid()},
                        {"device", flags.device},
                        {"threads", flags.threads},
                        {"kinds", flags.kinds}}
      .dump();
}

// SIGTERM and SIGINT become bytes in a pipe that one thread reads. Blocking them for sigwait would
// not do: libraries start threads before main, and those would still take the default action.
int stop_pipe[2] = {-1, -1};

void TellStop(int /*signal*/) {
  const char byte = 1;
  [[maybe_unused]] const ssize_t written = write(stop_pipe[1], &byte, 1);
}

absl::Status CatchStopSignals() {
  if (pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return ErrnoStatus("making a pipe");
  fcntl(stop_pipe[0], F_SETFL, 0);  // The reader waits, the handler never does.
  struct sigaction action = {};
  action.sa_handler = TellStop;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  return absl::OkStatus();
}

void AwaitStop(Agent* agent) {
  char byte = 0;
  while (read(stop_pipe[0], &byte, 1) < 0 && errno == EINTR) {
  }
  FAIRLEAD_LOG(INFO) << "draining";
  agent->RequestStop();
}

std::map<std::string, JobHandler*> Select(const std::vector<std::string>& kinds,
                                          const std::map<std::string, JobHandler*>& all) {
  std::map<std::string, JobHandler*> selected;
  for (const std::string& kind : kinds) selected[kind] = all.at(kind);
  return selected;
}

// FAILED_PRECONDITION when it shall train and what tests the trained is not there.
absl::StatusOr<LoadTestOptions> LoadTestOf(const Flags& flags) {
  LoadTestOptions options;
  options.threads = flags.threads;
  options.device = flags.device;
  for (const std::string& kind : flags.kinds) {
    if (!absl::StartsWith(kind, "train-")) continue;
    ASSIGN_OR_RETURN(options.program, ProgramBeside("fairlead-trainer"));
  }
  return options;
}

absl::StatusOr<int> Serve(const Flags& flags) {
  RETURN_IF_ERROR(StepAside(flags.nice));
  RETURN_IF_ERROR(CatchStopSignals());
  redis::RedisOptions redis_options;
  redis_options.address = flags.redis;
  redis_options.user = flags.redis_user;
  ASSIGN_OR_RETURN(redis_options.password, ReadSecret(flags.redis_password_file));
  RETURN_IF_ERROR(redis_options.Validate());
  RETURN_IF_ERROR(CreateDirectories(flags.scratch));
  GrpcBlobClientOptions blob_options;
  blob_options.target = flags.scheduler;
  ASSIGN_OR_RETURN(blob_options.token, ReadSecret(flags.token_file));
  blob_options.cache_directory = absl::StrCat(flags.scratch, "/blobs");
  blob_options.cache_bytes = flags.cache_mib << 20;
  ASSIGN_OR_RETURN(const std::unique_ptr<GrpcBlobClient> client,
                   GrpcBlobClient::Create(blob_options));
  std::unique_ptr<MetricsServer> metrics;
  if (!flags.metrics_address.empty()) {
    ASSIGN_OR_RETURN(metrics, StartMetricsServer(flags.metrics_address));
  }

  ASSIGN_OR_RETURN(const LoadTestOptions load_test, LoadTestOf(flags));
  const Scratch scratch(flags.scratch);
  scratch.RemoveOld(absl::Now() - kKeepScratch);
  const BlobsOfJob blobs = [&client](const store::v1::JobRecord& job) {
    return client->ForJob(job.job());
  };
  const TrainOptions training = {flags.threads, flags.device, flags.checkpoint_seconds,
                                 flags.cache_mib << 20};
  TrainOcrHandler train_ocr(blobs, scratch, training, load_test);
  CheckOcrHandler check_ocr(blobs, scratch, training);
  PrelabelOcrHandler prelabel_ocr(blobs, scratch, {flags.threads, flags.device});
  TrainRewardHandler train_reward(blobs, scratch, load_test);
  PrelabelRewardHandler prelabel_reward(blobs, scratch);
  redis::ConnectionPool pool(redis_options);
  queue::RedisJobQueue lane(&pool, flags.lane);
  AgentOptions options;
  options.description = Describe(flags);
  options.able = {flags.device, flags.memory_mib, flags.labels};
  options.lease = absl::Seconds(flags.lease_seconds);
  options.leave_wait = [&lane] { lane.LeaveWait(); };
  options.end_wait = [&lane] { lane.EndWait(); };
  Agent agent(
      &lane,
      Select(flags.kinds, {{"train-ocr", &train_ocr},
                           {"prelabel-ocr", &prelabel_ocr},
                           {"check-ocr", &check_ocr},
                           {"train-reward", &train_reward},
                           {"prelabel-reward", &prelabel_reward}}),
      [&lane](absl::Duration timeout) { return lane.WaitForWork(timeout); }, options);
  std::thread stopper(AwaitStop, &agent);
  FAIRLEAD_LOG(INFO) << "worker ready lane=" << flags.lane;
  const AgentExit exit = agent.Run();
  // The queue may have asked for the drain: then the thread still waits for its signal.
  TellStop(SIGTERM);
  stopper.join();
  return exit == AgentExit::kInterrupted ? kExitInterrupted : 0;
}

int Main(int argc, char** argv) {
  CLI::App app("Runs training and prelabel jobs from the machine lane.", "fairlead-worker");
  Flags flags;
  Declare(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  SetLogProcessName("worker");
  const absl::StatusOr<int> code = Serve(flags);
  if (code.ok()) return *code;
  std::cerr << "fairlead-worker: " << code.status().message() << "\n";
  return kExitUsage;
}

}  // namespace
}  // namespace fairlead::worker

int main(int argc, char** argv) { return fairlead::worker::Main(argc, argv); }
