// The same work done by the queues of others, each on a redis-server of its own.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "tests/bench/queue_cases.h"

namespace fairlead::bench {
namespace {

constexpr int kPayload = 128;
// Debian's packages are seen by Debian's interpreter, which need not be the first in the path.
constexpr char kPython[] = "/usr/bin/python3";

struct Peer {
  std::string name;
  std::string check;   // Shell command that succeeds when it is installed.
  std::string run;     // Its program; socket, jobs and bytes of payload are appended.
  std::string remedy;  // How to get it.
  int jobs = 0;
};

std::vector<Peer> Peers() {
  const std::string scripts = absl::StrCat(FAIRLEAD_SOURCE_FOLDER, "/tests/bench/peers/");
  const std::string modules = absl::StrCat(FAIRLEAD_SOURCE_FOLDER, "/build/peers");
  const std::string node =
      absl::StrCat("NODE_PATH=\"${NODE_PATH:-", modules, "/node_modules}\" node ");
  return {{"bullmq", absl::StrCat(node, "-e \"require('bullmq'); require('ioredis')\""),
           absl::StrCat(node, scripts, "bullmq.js"),
           "npm install --prefix build/peers bullmq ioredis", 20'000},
          {"sidekiq", "ruby -e \"require 'sidekiq'\"", absl::StrCat("ruby ", scripts, "sidekiq.rb"),
           "apt-get install ruby-sidekiq", 20'000},
          {"celery", absl::StrCat(kPython, " -c 'import celery, redis'"),
           absl::StrCat(kPython, " ", scripts, "celery_peer.py"),
           "apt-get install python3-celery python3-redis", 3'000},
          {"rq", absl::StrCat(kPython, " -c 'import rq'"),
           absl::StrCat(kPython, " ", scripts, "rq_peer.py"), "apt-get install python3-rq", 1'000}};
}

bool Installed(const Peer& peer) {
  return std::system(absl::StrCat(peer.check, " >/dev/null 2>&1").c_str()) == 0;
}

// The number a program prints.
absl::StatusOr<double> NumberOf(const std::string& command) {
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return absl::UnavailableError("cannot run a shell");
  std::string text;
  std::array<char, 256> buffer;
  while (fgets(buffer.data(), static_cast<int>(buffer.size()), pipe) != nullptr) {
    text += buffer.data();
  }
  const int code = pclose(pipe);
  double number = 0;
  if (code != 0 || !absl::SimpleAtod(absl::StripSuffix(text, "\n"), &number)) {
    return absl::UnavailableError(absl::StrCat(command, " failed: ", text));
  }
  return number;
}

}  // namespace

absl::Status RunPeers(Report* report) {
  const double ours = report->ValueOf(kPeersAgainst, "rate");
  if (ours == 0) return absl::FailedPreconditionError("run them together with drain.b100");
  for (const Peer& peer : Peers()) {
    if (!Installed(peer)) {
      std::cerr << peer.name << " is not installed; " << peer.remedy << "\n";
      continue;
    }
    ASSIGN_OR_RETURN(Server server, Server::Start(Durability::kNone));
    ASSIGN_OR_RETURN(const double cpu, server.CpuSeconds());
    ASSIGN_OR_RETURN(const double rate,
                     NumberOf(absl::StrCat(peer.run, " ", server.process->socket_path(), " ",
                                           peer.jobs, " ", kPayload)));
    ASSIGN_OR_RETURN(const double cpu_after, server.CpuSeconds());
    const std::string name = absl::StrCat("peers.", peer.name);
    report->Add(name, "rate", rate, "1/s");
    report->Add(name, "redis_cpu", (cpu_after - cpu) * 1e6 / peer.jobs, "us");
    report->Add(name, "drain_ratio", ours / rate, "1");
  }
  return absl::OkStatus();
}

}  // namespace fairlead::bench
