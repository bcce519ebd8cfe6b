// fairlead-bench-queue: what the machine lane costs, with the code that production uses, on a
// redis-server of its own.
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/bench/queue_cases.h"

namespace fairlead::bench {
namespace {

constexpr int kWakeSamples = 2000;
constexpr int kExitFailed = 1;

struct Options {
  std::string json;
  std::string only;
  bool full = false;
  bool peers = false;
};

int64_t JobsOf(int batch, Durability durability) {
  if (durability == Durability::kAlways) return batch == 1 ? 6'000 : batch == 10 ? 20'000 : 60'000;
  return batch == 1 ? 40'000 : batch == 10 ? 100'000 : 300'000;
}

struct Case {
  std::string name;
  std::function<absl::Status(Report*)> run;
};

Case FlowCase(const std::string& name, const Flow& flow) {
  return {name, [name, flow](Report* report) { return RunFlow(name, flow, report); }};
}

std::vector<Case> Cases(bool full) {
  std::vector<Case> cases;
  cases.push_back({"floor", RunFloor});
  for (const Durability durability :
       {Durability::kNone, Durability::kEverysec, Durability::kAlways}) {
    for (const int batch : {1, 10, 100}) {
      for (const int projects : {1, 1000}) {
        const std::string name =
            absl::StrCat("lifecycle.b", batch, ".p", projects, ".", NameOf(durability));
        const Flow flow = {batch, projects, durability, JobsOf(batch, durability)};
        cases.push_back(FlowCase(name, flow));
        if (!full) continue;
        Flow large = flow;
        large.payload = 4096;
        large.jobs /= 4;
        cases.push_back(FlowCase(absl::StrCat(name, ".4k"), large));
      }
    }
  }
  for (const int batch : full ? std::vector<int>{1, 10, 100} : std::vector<int>{100}) {
    Flow flow = {batch, 1000, Durability::kNone, JobsOf(batch, Durability::kNone)};
    flow.drain_only = true;
    cases.push_back(FlowCase(absl::StrCat("drain.b", batch, ".p1000.none"), flow));
  }
  cases.push_back({"idle_wake", [](Report* report) { return RunIdleWake(kWakeSamples, report); }});
  cases.push_back({"flood", RunFlood});
  cases.push_back({"memory", RunMemory});
  return cases;
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Measures the machine lane on a private redis-server.\n"
      "Example: fairlead-bench-queue --only lifecycle.b100 --json queue.json",
      "fairlead-bench-queue");
  Options options;
  app.add_option("--json", options.json, "Write one JSON object a line to this file");
  app.add_option("--only", options.only, "Run the cases whose name begins so");
  app.add_flag("--full", options.full, "Also payloads of 4 KiB and every batch of drain");
  app.add_flag("--peers", options.peers, "Also BullMQ, Sidekiq, Celery and RQ, where installed");
  CLI11_PARSE(app, argc, argv);
  Report report;
  int failed = 0;
  std::vector<Case> cases = Cases(options.full);
  if (options.peers) cases.push_back({"peers", RunPeers});
  for (const Case& one : cases) {
    const bool needed = options.peers && one.name == kPeersAgainst;
    if (!needed && !absl::StartsWith(one.name, options.only)) continue;
    if (const absl::Status status = one.run(&report); !status.ok()) {
      std::cerr << one.name << ": " << status << "\n";
      failed = kExitFailed;
    }
  }
  if (options.json.empty()) return failed;
  if (const absl::Status written = report.WriteJson(options.json); !written.ok()) {
    std::cerr << written << "\n";
    return kExitFailed;
  }
  return failed;
}

}  // namespace
}  // namespace fairlead::bench

int main(int argc, char** argv) { return fairlead::bench::Main(argc, argv); }
