#include "tests/bench/queue_run.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/redis/functions.h"
#include "common/redis/keys.h"

namespace fairlead::bench {
namespace {

constexpr char kLane[] = "m0";
constexpr char kFailed[] = "failed ";

absl::StatusOr<std::string> InfoOf(redis::ConnectionPool& pool, const std::string& section) {
  ASSIGN_OR_RETURN(const redis::Reply reply, pool.Call({"INFO", section}));
  return reply.AsText();
}

double Field(const std::string& info, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(info, absl::ByAnyChar("\r\n"))) {
    double value = 0;
    if (absl::ConsumePrefix(&line, name) && absl::ConsumePrefix(&line, ":") &&
        absl::SimpleAtod(line, &value)) {
      return value;
    }
  }
  return 0;
}

void WriteAll(int fd, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = write(fd, text.data() + done, text.size() - done);
    if (n <= 0) return;
    done += static_cast<size_t>(n);
  }
}

std::string ReadAll(int fd) {
  std::string text;
  char buffer[4096];
  ssize_t n = 0;
  while ((n = read(fd, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<size_t>(n));
  return text;
}

}  // namespace

void Report::Add(const std::string& name, const std::string& metric, double value,
                 const std::string& unit) {
  figures_.push_back({name, metric, value, unit});
  std::cout << absl::StrFormat("%-32s %-16s %14.2f %s\n", name, metric, value, unit) << std::flush;
}

double Report::ValueOf(const std::string& name, const std::string& metric) const {
  for (const Figure& figure : figures_) {
    if (figure.name == name && figure.metric == metric) return figure.value;
  }
  return 0;
}

absl::Status Report::WriteJson(const std::string& path) const {
  std::ofstream file(path);
  for (const Figure& figure : figures_) {
    file << absl::StrFormat(
                R"({"bench":"queue","case":"%s","metric":"%s","value":%.4f,"unit":"%s"})",
                figure.name, figure.metric, figure.value, figure.unit)
         << "\n";
  }
  file.close();
  return file ? absl::OkStatus() : absl::UnavailableError(absl::StrCat("cannot write ", path));
}

const char* NameOf(Durability durability) {
  if (durability == Durability::kNone) return "none";
  return durability == Durability::kEverysec ? "everysec" : "always";
}

absl::StatusOr<Server> Server::Start(Durability durability) {
  testing::RedisServerOptions options;
  options.append_only = durability != Durability::kNone;
  options.arguments = {"--appendfsync", durability == Durability::kAlways ? "always" : "everysec",
                       "--save", ""};
  Server server;
  ASSIGN_OR_RETURN(server.process, testing::RedisServer::Start(std::move(options)));
  server.pool = std::make_unique<redis::ConnectionPool>(server.process->client_options());
  RETURN_IF_ERROR(redis::LoadFunctions(*server.pool));
  RETURN_IF_ERROR(server.pool->Call({"SET", redis::IncarnationKey(kLane), "1-bench"}).status());
  return server;
}

absl::StatusOr<double> Server::CpuSeconds() {
  ASSIGN_OR_RETURN(const std::string info, InfoOf(*pool, "cpu"));
  return Field(info, "used_cpu_user_main_thread") + Field(info, "used_cpu_sys_main_thread");
}

absl::StatusOr<double> Server::InnerCommands() {
  static const std::set<std::string>* const kOuter = new std::set<std::string>{
      "blpop", "config|resetstat", "fcall", "function|load", "info", "ping", "xread", "xtrim"};
  ASSIGN_OR_RETURN(const std::string info, InfoOf(*pool, "commandstats"));
  double calls = 0;
  for (absl::string_view line : absl::StrSplit(info, absl::ByAnyChar("\r\n"))) {
    if (!absl::ConsumePrefix(&line, "cmdstat_")) continue;
    const std::pair<std::string, std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 1));
    absl::string_view rest = parts.second;
    double count = 0;
    if (kOuter->count(parts.first) == 0 && absl::ConsumePrefix(&rest, "calls=") &&
        absl::SimpleAtod(rest.substr(0, rest.find(',')), &count)) {
      calls += count;
    }
  }
  return calls;
}

absl::Status Server::ResetCounters() { return pool->Call({"CONFIG", "RESETSTAT"}).status(); }

absl::StatusOr<int64_t> Server::UsedMemory() {
  ASSIGN_OR_RETURN(const std::string info, InfoOf(*pool, "memory"));
  return static_cast<int64_t>(Field(info, "used_memory"));
}

absl::StatusOr<int> Server::FollowEvents(int64_t* cursor) {
  const std::string stream = redis::EventsKey(kLane);
  ASSIGN_OR_RETURN(const redis::Reply reply, pool->Call({"XREAD", "COUNT", "512", "STREAMS", stream,
                                                         absl::StrCat(*cursor, "-0")}));
  if (reply.is_nil() || reply.elements.empty()) return 0;
  const int read = static_cast<int>(reply.elements[0].elements[1].elements.size());
  *cursor += read;
  RETURN_IF_ERROR(
      pool->Call({"XTRIM", stream, "MINID", "~", absl::StrCat(*cursor, "-0")}).status());
  return read;
}

std::string MakePayload(size_t bytes) {
  std::string payload(bytes, ' ');
  uint32_t state = 12345;
  for (char& c : payload) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>('!' + (state >> 16) % 90);
  }
  return payload;
}

queue::NewJob MakeJob(int64_t number, int project, const std::string& payload) {
  queue::NewJob job;
  job.record.set_job(absl::StrFormat("%026d", number));
  job.record.set_kind("train-ocr");
  job.record.set_tenant("bench");
  job.record.set_model(absl::StrFormat("bench/p%d", project));
  (*job.record.mutable_params())["p"] = payload;
  return job;
}

queue::TickRequest MakeTick(const std::string& session, int want) {
  queue::TickRequest request;
  request.session = session;
  request.description = "{}";
  request.kinds = {"train-ocr"};
  request.want = want;
  request.lease = absl::Minutes(10);
  return request;
}

absl::StatusOr<std::unique_ptr<Child>> Child::Fork(Body body) {
  int go[2], result[2];
  if (pipe(go) != 0 || pipe(result) != 0) return absl::InternalError("no pipe");
  const int pid = fork();
  if (pid < 0) return absl::InternalError("no process");
  if (pid > 0) {
    close(go[0]);
    close(result[1]);
    return std::unique_ptr<Child>(new Child(pid, go[1], result[0]));
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  close(go[1]);
  close(result[0]);
  char byte = 0;
  if (read(go[0], &byte, 1) == 1) {
    const absl::StatusOr<std::vector<double>> numbers = body();
    std::string text;
    if (!numbers.ok()) text = absl::StrCat(kFailed, numbers.status().ToString());
    if (numbers.ok()) {
      for (const double number : *numbers)
        absl::StrAppend(&text, absl::StrFormat("%.17g ", number));
    }
    WriteAll(result[1], text);
  }
  // Nothing of the parent's is destroyed here: its redis-server lives on.
  _exit(0);
}

Child::~Child() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  close(go_);
  close(result_);
}

void Child::Go() { WriteAll(go_, "g"); }

bool Child::Ended(absl::Duration wait) {
  pollfd poller = {result_, POLLIN, 0};
  return poll(&poller, 1, static_cast<int>(absl::ToInt64Milliseconds(wait))) > 0;
}

absl::StatusOr<std::vector<double>> Child::Result() {
  const std::string text = ReadAll(result_);
  if (text.empty() || absl::StartsWith(text, kFailed)) {
    return absl::UnavailableError(absl::StrCat("a process of the benchmark ", text));
  }
  std::vector<double> numbers;
  for (const absl::string_view one : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    double value = 0;
    if (absl::SimpleAtod(one, &value)) numbers.push_back(value);
  }
  return numbers;
}

}  // namespace fairlead::bench
