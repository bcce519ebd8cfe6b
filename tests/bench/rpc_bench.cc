// fairlead-bench-rpc: the scheduler as it is run, over gRPC, with Redis (append-only file, fsync
// each second) and the record log on disk: answers and labels a second, how soon a new task is
// offered, and what the processes use. The contractors and the clients run in this process, on the
// same machine.
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/cluster.h"
#include "tests/bench/marks.h"
#include "tests/bench/processes.h"
#include "tests/bench/rpc_arrivals.h"
#include "tests/bench/rpc_crowd.h"
#include "tests/bench/rpc_echo.h"

namespace fairlead::bench {
namespace {

constexpr int kBacklog = 20'000;  // Tasks kept waiting while throughput is measured.
constexpr int kBatch = 500;
constexpr int kArrivalThreads = 48;
constexpr double kLeastAnswers = 5'000;  // A second.
constexpr double kMostWaitMs = 50;       // p99.
constexpr double kMostMemoryMb = 2'500;  // The scheduler's.
const std::vector<std::string> kClasses = {"cat", "dog", "horse", "bird"};

struct Options {
  std::string json, binaries, redis_server, echo_server, recorded;
  int contractors = 30'000, connections = 300, seconds = 15;
};

// Of one process, from /proc.
struct Usage {
  double cpu_seconds = 0, resident_mb = 0, peak_mb = 0;
};

Usage UsageOf(pid_t pid) {
  Usage usage;
  std::ifstream stat(absl::StrCat("/proc/", pid, "/stat"));
  std::string text((std::istreambuf_iterator<char>(stat)), std::istreambuf_iterator<char>());
  // Fields 14 and 15, counted behind the name, which may hold blanks.
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  std::string field;
  for (int i = 3; i <= 15 && fields >> field; ++i) {
    if (i >= 14) usage.cpu_seconds += std::stod(field) / static_cast<double>(sysconf(_SC_CLK_TCK));
  }
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) usage.resident_mb = std::stod(line.substr(6)) / 1024;
    if (line.rfind("VmHWM:", 0) == 0) usage.peak_mb = std::stod(line.substr(6)) / 1024;
  }
  return usage;
}

class RpcBench {
 public:
  RpcBench(const Options& options, Marks& marks) : options_(options), marks_(marks) {}

  absl::Status Run() {
    RETURN_IF_ERROR(MeasureEchoLimit());
    RETURN_IF_ERROR(Start());
    for (const int answers : {1, 3}) RETURN_IF_ERROR(MeasureThroughput(answers));
    RETURN_IF_ERROR(MeasureWaits());
    for (const char* name : {cli::kScheduler, cli::kRedis}) {
      const Usage usage = UsageOf(cluster_->supervisor().Pid(name));
      if (name == cli::kScheduler) {
        marks_.Check(name, "memory, peak", usage.peak_mb, "MB", "<= 2,500",
                     usage.peak_mb <= kMostMemoryMb);
      } else {
        marks_.Figure(name, "memory, peak", usage.peak_mb, "MB");
      }
      if (cluster_->supervisor().Restarts(name) > 0) {
        return absl::InternalError(absl::StrCat(name, " died meanwhile"));
      }
    }
    marks_.Figure("contractors", "memory, peak", UsageOf(getpid()).peak_mb, "MB");
    crowd_->Close();
    return absl::OkStatus();
  }

 private:
  absl::Status MeasureEchoLimit() {
    const std::string address = absl::StrCat("unix:", folder_.path(), "/echo.sock");
    const pid_t child = fork();
    if (child == 0) {
      execl("/proc/self/exe", "fairlead-bench-rpc", "--echo-server", address.c_str(), nullptr);
      _exit(127);
    }
    const auto rate = MeasureEcho(address, options_.connections,
                                  std::min(options_.contractors, 3'000), absl::Seconds(5));
    const Usage usage = UsageOf(child);
    kill(child, SIGTERM);
    waitpid(child, nullptr, 0);
    RETURN_IF_ERROR(rate.status());
    marks_.Figure("grpc echo", "there and back, 3,000 streams", *rate, "1/s");
    // An answer is two messages up (accept, submit) and three down (offer, assignment, receipt).
    marks_.Figure("grpc echo", "answers that this would allow", *rate / 2.5, "1/s");
    marks_.Figure("grpc echo", "server's processor time", usage.cpu_seconds, "s");
    return absl::OkStatus();
  }

  absl::Status Start() {
    cli::ClusterOptions cluster;
    cluster.data_dir = folder_.path() + "/cluster";
    cluster.workers = 0;
    cluster.binary_dir = options_.binaries;
    cluster.redis_server = options_.redis_server;
    ASSIGN_OR_RETURN(cluster_, cli::LocalCluster::Create(cluster));
    RETURN_IF_ERROR(cluster_->Start());
    client_ = std::make_unique<cli::Client>(cluster_->address(),
                                            cluster_->credentials().client_token, cluster.tenant);
    admin_ = std::make_unique<cli::Client>(cluster_->address(),
                                           cluster_->credentials().operator_token, "");
    RpcCrowdOptions crowd;
    crowd.address = cluster_->address();
    crowd.operator_token = cluster_->credentials().operator_token;
    crowd.contractors = options_.contractors;
    crowd.connections = options_.connections;
    crowd.classes = kClasses;
    absl::Time start = absl::Now();
    ASSIGN_OR_RETURN(crowd_, RpcCrowd::Enrol(crowd));
    marks_.Figure("contractors", "enrolled in", absl::ToDoubleSeconds(absl::Now() - start), "s");
    start = absl::Now();
    RETURN_IF_ERROR(crowd_->Open(absl::Seconds(90)));
    RETURN_IF_ERROR(AwaitOnline(start + absl::Seconds(90)));
    marks_.Figure("contractors", "all there in", absl::ToDoubleSeconds(absl::Now() - start), "s");
    marks_.Figure("scheduler", "memory with all there",
                  UsageOf(cluster_->supervisor().Pid(cli::kScheduler)).resident_mb, "MB");
    return absl::OkStatus();
  }

  absl::Status AwaitOnline(absl::Time deadline) {
    for (;;) {
      ASSIGN_OR_RETURN(const v1::GetQueuesResponse queues,
                       admin_->Call(admin_->admin(), &v1::AdminService::Stub::GetQueues,
                                    v1::GetQueuesRequest()));
      if (queues.contractors_online() >= options_.contractors) return absl::OkStatus();
      if (absl::Now() > deadline) {
        return absl::DeadlineExceededError(
            absl::StrCat("only ", queues.contractors_online(), " contractors are online"));
      }
      absl::SleepFor(absl::Milliseconds(100));
    }
  }

  absl::StatusOr<std::string> CreateProject(const std::string& id, int answers) {
    v1::CreateProjectRequest request;
    request.set_parent(client_->tenant_name());
    request.set_project_id(id);
    v1::ProjectSettings& settings = *request.mutable_settings();
    settings.mutable_answer_schema()->set_kind(v1::TASK_KIND_CLASS);
    for (const std::string& name : kClasses) settings.mutable_answer_schema()->add_classes(name);
    settings.mutable_redundancy()->set_min_answers(answers);
    settings.mutable_redundancy()->set_max_answers(answers);
    request.mutable_pay_rate()->set_micros_per_annotation(50'000);
    request.mutable_pay_rate()->set_currency("USD");
    ASSIGN_OR_RETURN(
        const v1::Project project,
        client_->Call(client_->projects(), &v1::ProjectService::Stub::CreateProject, request));
    return project.name();
  }

  absl::Status Submit(const std::string& project, int count) {
    v1::SubmitTasksRequest request;
    request.set_project(project);
    request.set_request_id(absl::StrCat("bench-", ++request_));
    for (int i = 0; i < count; ++i) {
      request.add_tasks()->mutable_payload()->mutable_class_item()->set_text(
          "Which animal is it? It purrs, sleeps most of the day and lands on its feet.");
    }
    return client_->Call(client_->tasks(), &v1::TaskService::Stub::SubmitTasks, request).status();
  }

  absl::StatusOr<v1::Project::Counts> CountsOf(const std::string& project) {
    v1::GetProjectRequest request;
    request.set_name(project);
    ASSIGN_OR_RETURN(
        const v1::Project read,
        client_->Call(client_->projects(), &v1::ProjectService::Stub::GetProject, request));
    return read.counts();
  }

  absl::Status Pause(const std::string& project) {
    v1::PauseProjectRequest request;
    request.set_name(project);
    return client_->Call(client_->admin(), &v1::AdminService::Stub::PauseProject, request).status();
  }

  // Keeps a backlog while all contractors answer at once.
  absl::Status MeasureThroughput(int answers) {
    const std::string name =
        absl::StrCat(answers, answers == 1 ? " answer a task" : " answers a task");
    ASSIGN_OR_RETURN(const std::string project,
                     CreateProject(absl::StrCat("answers-", answers), answers));
    const absl::Time begin = absl::Now() + absl::Seconds(options_.seconds / 3);
    const absl::Time end = begin + absl::Seconds(options_.seconds);
    bool counting = false;
    int64_t receipts = 0, completed = 0;
    absl::Time started;
    std::vector<double> cpu;
    while (absl::Now() < end) {
      ASSIGN_OR_RETURN(const v1::Project::Counts counts, CountsOf(project));
      if (!counting && absl::Now() >= begin) {
        counting = true;
        started = absl::Now();
        receipts = crowd_->tally().receipts;
        completed = counts.completed();
        cpu = CpuNow();
      }
      const int64_t waiting = counts.ready() + counts.open();
      if (waiting < kBacklog) {
        RETURN_IF_ERROR(Submit(project, kBatch));
      } else {
        absl::SleepFor(absl::Milliseconds(20));
      }
    }
    const double seconds = absl::ToDoubleSeconds(absl::Now() - started);
    const double annotations = static_cast<double>(crowd_->tally().receipts - receipts) / seconds;
    ASSIGN_OR_RETURN(const v1::Project::Counts counts, CountsOf(project));
    const double labels = static_cast<double>(counts.completed() - completed) / seconds;
    if (answers == 1) {
      rate_ = labels;
      marks_.Check(name, "accepted answers", annotations, "1/s", ">= 5,000",
                   annotations >= kLeastAnswers);
    } else {
      marks_.Figure(name, "accepted answers", annotations, "1/s");
    }
    marks_.Figure(name, "completed tasks", labels, "1/s");
    FigureCores(name, cpu, seconds);
    marks_.Figure(name, "refused calls", static_cast<double>(crowd_->tally().refusals), "");
    RETURN_IF_ERROR(Pause(project));
    crowd_->TakeWaits();
    return absl::OkStatus();
  }

  std::vector<double> CpuNow() const {
    return {UsageOf(cluster_->supervisor().Pid(cli::kScheduler)).cpu_seconds,
            UsageOf(cluster_->supervisor().Pid(cli::kRedis)).cpu_seconds,
            UsageOf(getpid()).cpu_seconds};
  }

  // Of each process, since `before`, what CpuNow() said `seconds` ago.
  void FigureCores(const std::string& name, const std::vector<double>& before, double seconds) {
    const char* const who[] = {"scheduler", "redis", "contractors and clients"};
    const std::vector<double> now = CpuNow();
    for (size_t i = 0; i < now.size(); ++i) {
      marks_.Figure(name, absl::StrCat("cores, ", who[i]), (now[i] - before[i]) / seconds, "");
    }
  }

  // One task a call, at half the measured rate.
  absl::Status MeasureWaits() {
    const double rate = rate_ / 2;
    RETURN_IF_ERROR(MeasureWaits("poisson", PoissonArrivals(rate, options_.seconds), kMostWaitMs));
    const absl::StatusOr<std::vector<double>> recorded =
        RecordedArrivals(options_.recorded, rate, options_.seconds);
    if (!recorded.ok()) {
      std::cout << "arrivals as recorded: skipped, " << recorded.status().message() << "\n";
      return absl::OkStatus();
    }
    return MeasureWaits("recorded", *recorded, std::nullopt);
  }

  absl::Status MeasureWaits(const std::string& arrivals, const std::vector<double>& times,
                            std::optional<double> mark) {
    ASSIGN_OR_RETURN(const std::string project, CreateProject("arrivals-" + arrivals, 1));
    absl::SleepFor(absl::Seconds(3));  // What is under way in other projects comes to its end.
    crowd_->TakeWaits();
    const std::vector<double> cpu = CpuNow();
    const absl::Time start = absl::Now();
    std::vector<std::thread> threads;
    threads.reserve(kArrivalThreads);
    std::vector<absl::Status> failures(kArrivalThreads);
    std::atomic<int64_t> late{0};
    std::atomic<size_t> next{0};
    for (absl::Status& failure : failures) {
      threads.emplace_back([&] {
        for (size_t i = next++; i < times.size() && failure.ok(); i = next++) {
          const absl::Time due = start + absl::Seconds(times[i]);
          if (absl::Now() > due + absl::Milliseconds(10)) ++late;
          absl::SleepFor(due - absl::Now());
          failure = Submit(project, 1);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& failure : failures) RETURN_IF_ERROR(failure);
    const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
    const std::string name = arrivals + " arrivals";
    FigureCores(name, cpu, seconds);
    absl::SleepFor(absl::Seconds(1));
    std::vector<double> waits = crowd_->TakeWaits();
    if (waits.empty()) return absl::InternalError("nothing was offered");
    std::sort(waits.begin(), waits.end());
    marks_.Figure(name, "wanted", rate_ / 2, "1/s");
    marks_.Figure(name, "came", static_cast<double>(waits.size()) / seconds, "1/s");
    marks_.Figure(name, "came over 10 ms late",
                  100.0 * static_cast<double>(late) / static_cast<double>(times.size()), "%");
    marks_.Figure(name, "ready to offer, p50", waits[waits.size() / 2], "ms");
    const double p99 = waits[waits.size() * 99 / 100];
    if (mark.has_value()) {
      marks_.Check(name, "ready to offer, p99", p99, "ms", absl::StrCat("<= ", *mark),
                   p99 <= *mark);
    } else {
      marks_.Figure(name, "ready to offer, p99", p99, "ms");
    }
    return Pause(project);
  }

  const Options options_;
  Marks& marks_;
  TemporaryFolder folder_;
  std::unique_ptr<cli::LocalCluster> cluster_;
  std::unique_ptr<cli::Client> client_, admin_;
  std::unique_ptr<RpcCrowd> crowd_;
  std::atomic<int64_t> request_{0};
  double rate_ = 0;
};

std::string OwnFolder() {
  std::string path(4'096, '\0');
  const ssize_t n = readlink("/proc/self/exe", path.data(), path.size());
  path.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return path.substr(0, path.rfind('/'));
}

int Main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);  // As the scheduler does.
  CLI::App app(
      "Measures a whole scheduler over gRPC: answers and labels a second, time until a new task is "
      "offered, processors and memory. About three minutes.\n"
      "Example: fairlead-bench-rpc --contractors 3000 --json rpc.json",
      "fairlead-bench-rpc");
  Options options;
  options.binaries = OwnFolder();
  app.add_option("--json", options.json, "Write one JSON object a line to this file");
  app.add_option("--contractors", options.contractors, "Enrolled and available")
      ->check(CLI::Range(10, 100'000));
  app.add_option("--connections", options.connections, "That they share")
      ->check(CLI::Range(1, 1'000));
  app.add_option("--seconds", options.seconds, "Each measurement takes")->check(CLI::Range(3, 60));
  const char* shared = std::getenv("FAIRLEAD_SHARED");
  options.recorded = absl::StrCat(shared != nullptr ? shared : FAIRLEAD_SOURCE_FOLDER "/../shared",
                                  "/data/crowd/wmt22_mturk_hits");
  app.add_option("--recorded", options.recorded, "Folder of recorded arrivals");
  app.add_option("--binaries", options.binaries, "Folder of fairlead-scheduler");
  app.add_option("--redis-server", options.redis_server, "Its path, if not in $PATH");
  app.add_option("--echo-server", options.echo_server)->group("");
  CLI11_PARSE(app, argc, argv);
  if (!options.echo_server.empty()) return ServeEcho(options.echo_server);
  Marks marks("rpc");
  const absl::Status status = RpcBench(options, marks).Run();
  if (!status.ok()) {
    std::cerr << status << "\n";
    return 2;
  }
  const bool met = marks.Print();
  if (!options.json.empty()) {
    if (const absl::Status written = marks.WriteJson(options.json); !written.ok()) {
      std::cerr << written << "\n";
      return 2;
    }
  }
  return met ? 0 : 1;
}

}  // namespace
}  // namespace fairlead::bench

int main(int argc, char** argv) { return fairlead::bench::Main(argc, argv); }
