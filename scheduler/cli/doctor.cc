// fairlead doctor: is this machine, and the server it speaks to, fit to run? A remedy for each
// fault.
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"
#include "scheduler/cli/client.h"
#include "scheduler/cli/cluster.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/credentials.h"
#include "scheduler/cli/file.h"
#include "scheduler/cli/generate_glyphs.h"
#include "scheduler/cli/print.h"

namespace fairlead::cli {
namespace {

enum class Verdict { kOk, kWarning, kWrong };

struct Finding {
  std::string check;
  Verdict verdict = Verdict::kOk;
  std::string detail;
  std::string remedy;
};

constexpr int64_t kMinFreeBytes = 1ll << 30;
constexpr int kMinOpenFiles = 1024;
// A worker's lease ends within this of the server's present time; beyond it, clocks differ.
constexpr double kLeaseSeconds = 60;
constexpr double kMaxSkewSeconds = 5;

Finding CheckBinary(const std::string& directory, const std::string& name, Verdict when_missing) {
  const std::string path = absl::StrCat(directory, "/", name);
  if (access(path.c_str(), X_OK) == 0) return {name, Verdict::kOk, path, ""};
  return {name, when_missing, absl::StrCat(path, " is missing"), "build it: ./dev build"};
}

std::string OutputOf(const std::string& command) {
  std::string output;
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return output;
  char buffer[256];
  while (fgets(buffer, sizeof(buffer), pipe) != nullptr) output += buffer;
  pclose(pipe);
  return output;
}

Finding CheckRedis() {
  const absl::StatusOr<std::string> path = FindInPath("redis-server");
  if (!path.ok()) {
    return {"redis-server", Verdict::kWrong, std::string(path.status().message()),
            "install the package redis-server (sudo apt-get install redis-server), or ./dev setup"};
  }
  const std::string output = OutputOf(*path + " --version 2>/dev/null");
  const size_t at = output.find("v=");
  int major = 0;
  const std::string version =
      at == std::string::npos ? "" : output.substr(at + 2, output.find(' ', at) - at - 2);
  if (!absl::SimpleAtoi(version.substr(0, version.find('.')), &major) || major < 7) {
    return {"redis-server", Verdict::kWrong, absl::StrCat(*path, " is version \"", version, "\""),
            "Redis Functions need 7.0 or newer: install a newer redis-server"};
  }
  return {"redis-server", Verdict::kOk, absl::StrCat(*path, ", version ", version), ""};
}

Finding CheckMode(const std::string& check, const std::string& path, mode_t allowed,
                  const std::string& if_missing) {
  struct stat entry = {};
  if (stat(path.c_str(), &entry) != 0) {
    return {check, Verdict::kOk, absl::StrCat(path, " is not there yet"), if_missing};
  }
  const mode_t mode = entry.st_mode & 07777;
  if (entry.st_uid != geteuid()) {
    return {check, Verdict::kWrong, absl::StrCat(path, " belongs to another user"),
            absl::StrCat("sudo chown -R $USER ", path)};
  }
  if ((mode & ~allowed) != 0) {
    return {check, Verdict::kWrong, absl::StrFormat("%s has mode %o", path, mode),
            absl::StrFormat("chmod %o %s", allowed, path)};
  }
  return {check, Verdict::kOk, absl::StrFormat("%s, mode %o", path, mode), ""};
}

Finding CheckDisk(const std::string& path) {
  struct statvfs disk = {};
  std::string existing = AbsolutePath(path);
  while (statvfs(existing.c_str(), &disk) != 0 && existing.size() > 1) {
    existing = std::filesystem::path(existing).parent_path().string();
  }
  const int64_t free_bytes =
      static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize);
  const std::string detail =
      absl::StrFormat("%.1f GiB free on %s", static_cast<double>(free_bytes) / (1 << 30), existing);
  if (free_bytes >= kMinFreeBytes) return {"disk", Verdict::kOk, detail, ""};
  return {"disk", Verdict::kWrong, detail, "free at least 1 GiB, or choose another --data-dir"};
}

Finding CheckOpenFiles() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  const std::string detail = absl::StrCat(limit.rlim_cur, " open files allowed");
  if (limit.rlim_cur >= kMinOpenFiles) return {"open files", Verdict::kOk, detail, ""};
  return {"open files", Verdict::kWarning, detail, absl::StrCat("ulimit -n ", kMinOpenFiles)};
}

// Debian's libtorch takes whatever BLAS the alternatives name; the reference one is 15 times
// slower.
Finding CheckBlas() {
  for (const char* directory :
       {"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/lib64"}) {
    std::error_code error;
    const auto real = std::filesystem::canonical(absl::StrCat(directory, "/libblas.so.3"), error);
    if (error) continue;
    if (absl::StrContains(real.string(), "openblas") || absl::StrContains(real.string(), "mkl") ||
        absl::StrContains(real.string(), "blis")) {
      return {"BLAS", Verdict::kOk, real.string(), ""};
    }
    return {"BLAS", Verdict::kWrong, absl::StrCat(real.string(), " is the slow reference BLAS"),
            "install the package libopenblas0-pthread"};
  }
  return {"BLAS", Verdict::kWarning, "no libblas.so.3 found", "install libopenblas0-pthread"};
}

Finding CheckFonts() {
  const auto fonts = FindFonts("", false);
  if (fonts.ok()) return {"font", Verdict::kOk, fonts->front(), ""};
  return {"font", Verdict::kWarning, std::string(fonts.status().message()),
          "install the package fonts-dejavu-core (only `generate` and `demo` need it)"};
}

Finding CheckSkew(const v1::GetQueuesResponse& queues) {
  if (queues.workers().empty()) {
    return {"clock", Verdict::kOk, "no worker session to compare with", ""};
  }
  const auto& expires = queues.workers(0).lease_expire_time();
  const double ahead = absl::ToDoubleSeconds(absl::FromUnixSeconds(expires.seconds()) +
                                             absl::Nanoseconds(expires.nanos()) - absl::Now());
  const std::string detail = absl::StrFormat("a worker's lease ends %.1f s from now", ahead);
  if (ahead > -kMaxSkewSeconds && ahead < kLeaseSeconds + kMaxSkewSeconds) {
    return {"clock", Verdict::kOk, detail, ""};
  }
  return {"clock", Verdict::kWrong, detail, "set this machine's clock (timedatectl set-ntp true)"};
}

void CheckServer(const GlobalOptions& globals, std::vector<Finding>& findings) {
  const auto client = Client::Connect(globals, Speaker::kOperator);
  if (!client.ok()) {
    const bool no_cluster = absl::IsNotFound(client.status()) && globals.address.empty();
    findings.push_back(
        {"server", no_cluster ? Verdict::kOk : Verdict::kWrong,
         no_cluster ? "none started here yet" : std::string(client.status().message()),
         "start one: fairlead up"});
    return;
  }
  const absl::Status health = CheckHealth((*client)->channel(), absl::Seconds(3));
  if (!health.ok()) {
    findings.push_back({"server", Verdict::kWrong, std::string(health.message()),
                        "start it: fairlead up; when it runs, read DATA/log/scheduler.log"});
    return;
  }
  findings.push_back({"server", Verdict::kOk, "SERVING", ""});
  const auto queues = (*client)->Call((*client)->admin(), &v1::AdminService::Stub::GetQueues,
                                      v1::GetQueuesRequest());
  if (!queues.ok()) {
    findings.push_back({"operator token", Verdict::kWrong, std::string(queues.status().message()),
                        "give --credentials or --token-file of an operator"});
    return;
  }
  findings.push_back({"operator token", Verdict::kOk, "accepted", ""});
  findings.push_back(queues->workers().empty()
                         ? Finding{"workers", Verdict::kWarning, "none has a session",
                                   "start one: fairlead up --workers 1, or fairlead-worker"}
                         : Finding{"workers", Verdict::kOk,
                                   absl::StrCat(queues->workers_size(), " with a session"), ""});
  findings.push_back(CheckSkew(*queues));
}

std::vector<Finding> Examine(const GlobalOptions& globals, const std::string& data_dir) {
  std::vector<Finding> findings;
  const std::string directory = OwnBinaryDirectory().value_or(".");
  findings.push_back(CheckBinary(directory, "fairlead-scheduler", Verdict::kWrong));
  findings.push_back(CheckBinary(directory, "fairlead-worker", Verdict::kWarning));
  findings.push_back(CheckBinary(directory, "fairlead-trainer", Verdict::kWarning));
  if (findings.back().verdict == Verdict::kOk) findings.push_back(CheckBlas());
  findings.push_back(CheckRedis());
  findings.push_back(CheckMode("data directory", data_dir, 0700, "fairlead up makes it"));
  for (const char* secret : {"credentials.json", "operator.token", "worker.token",
                             "redis-worker.password", "redis.conf"}) {
    const std::string path = absl::StrCat(data_dir, "/", secret);
    if (access(path.c_str(), F_OK) == 0) findings.push_back(CheckMode(secret, path, 0600, ""));
  }
  findings.push_back(CheckDisk(data_dir));
  findings.push_back(CheckOpenFiles());
  findings.push_back(CheckFonts());
  CheckServer(globals, findings);
  return findings;
}

int RunDoctor(const GlobalOptions& globals, const std::string& data_dir) {
  static constexpr const char* kWords[] = {"ok", "warning", "WRONG"};
  bool wrong = false;
  auto json = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> rows;
  for (const Finding& finding : Examine(globals, data_dir)) {
    wrong |= finding.verdict == Verdict::kWrong;
    const char* word = kWords[static_cast<int>(finding.verdict)];
    json.push_back({{"check", finding.check},
                    {"verdict", word},
                    {"detail", finding.detail},
                    {"remedy", finding.remedy}});
    rows.push_back({word, finding.check,
                    finding.verdict == Verdict::kOk || finding.remedy.empty()
                        ? finding.detail
                        : absl::StrCat(finding.detail, " → ", finding.remedy)});
  }
  std::cout << (globals.json ? json.dump() + "\n" : FormatTable(rows));
  return wrong ? kExitFailure : kExitOk;
}

}  // namespace

void AddDoctorCommand(CommandLine& line) {
  auto data_dir = std::make_shared<std::string>(".fairlead");
  GlobalOptions& globals = line.globals;
  CLI::App* command = line.Add(
      nullptr, "doctor", "Check this machine and the server; a remedy each",
      "fairlead doctor --json", [&globals, data_dir] { return RunDoctor(globals, *data_dir); });
  command->add_option("--data-dir", *data_dir, "The data directory of `fairlead up`");
}

}  // namespace fairlead::cli
