#include "scheduler/cli/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "scheduler/cli/file.h"

namespace fairlead::cli {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(200);
constexpr absl::Duration kLastBackoff = absl::Seconds(5);
// A child that lived this long starts again with the first backoff.
constexpr absl::Duration kHealthyAfter = absl::Seconds(10);
// Deaths in a row after which CheckAlive calls it a failure: about 1.4 s of tries.
constexpr int kGivenUpAfter = 4;
constexpr std::chrono::milliseconds kWatchInterval(20);

absl::Duration BackoffAfter(int failures_in_a_row) {
  return std::min(kLastBackoff, kFirstBackoff * (1 << std::min(failures_in_a_row, 10)));
}

std::string DescribeEnd(int wait_status) {
  if (WIFSIGNALED(wait_status)) return absl::StrCat("signal ", WTERMSIG(wait_status));
  return absl::StrCat("exit code ", WEXITSTATUS(wait_status));
}

// Runs in the child between fork and exec: async-signal-safe calls only.
[[noreturn]] void BecomeChild(char* const* argv, int log_fd, pid_t parent) {
  // Its own group: a Ctrl-C at the terminal reaches the parent alone, which stops things in order.
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(127);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  dup2(log_fd, STDOUT_FILENO);
  dup2(log_fd, STDERR_FILENO);
  const int null_fd = open("/dev/null", O_RDONLY);
  if (null_fd >= 0) dup2(null_fd, STDIN_FILENO);
  execv(argv[0], argv);
  _exit(127);
}

}  // namespace

Supervisor::Supervisor() : watcher_([this] { Watch(); }) {}

Supervisor::~Supervisor() {
  std::vector<std::string> order;
  {
    MutexLock lock(&mu_);
    order = start_order_;
  }
  std::reverse(order.begin(), order.end());
  for (const std::string& name : order) {
    const absl::Status stopped = Stop(name);
    if (!stopped.ok()) FAIRLEAD_LOG(WARNING) << "stop failed: " << stopped.message();
  }
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  watcher_.join();
}

void Supervisor::Add(const ChildSpec& spec) {
  MutexLock lock(&mu_);
  children_[spec.name].spec = spec;
}

absl::Status Supervisor::Start(const std::string& name) {
  MutexLock lock(&mu_);
  const auto it = children_.find(name);
  if (it == children_.end()) return absl::NotFoundError(absl::StrCat("no such process: ", name));
  Child& child = it->second;
  const std::string& binary = child.spec.argv.front();
  if (access(binary.c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("cannot run ", binary, ": ", strerror(errno)));
  }
  start_order_.erase(std::remove(start_order_.begin(), start_order_.end(), name),
                     start_order_.end());
  start_order_.push_back(name);
  child.wanted = true;
  child.next_start = absl::InfinitePast();
  child.failures_in_a_row = 0;
  changed_.NotifyAll();
  while (child.pid == 0 && child.next_start == absl::InfinitePast()) changed_.Wait(&mu_);
  if (child.pid == 0) return absl::InternalError(absl::StrCat("cannot fork ", name));
  return absl::OkStatus();
}

absl::Status Supervisor::Stop(const std::string& name) {
  absl::Duration timeout;
  {
    MutexLock lock(&mu_);
    const auto it = children_.find(name);
    if (it == children_.end()) return absl::NotFoundError(absl::StrCat("no such process: ", name));
    it->second.wanted = false;
    timeout = it->second.spec.stop_timeout;
    if (it->second.pid == 0) return absl::OkStatus();
    kill(it->second.pid, SIGTERM);
  }
  if (AwaitDown(name, timeout)) return absl::OkStatus();
  FAIRLEAD_LOG(WARNING) << "no end after SIGTERM, sending SIGKILL process=" << name;
  return Kill(name, /*stay_down=*/true);
}

absl::Status Supervisor::Kill(const std::string& name, bool stay_down) {
  {
    MutexLock lock(&mu_);
    const auto it = children_.find(name);
    if (it == children_.end()) return absl::NotFoundError(absl::StrCat("no such process: ", name));
    if (stay_down) it->second.wanted = false;
    if (it->second.pid == 0) return absl::OkStatus();
    it->second.kill_asked = true;
    kill(it->second.pid, SIGKILL);
  }
  if (AwaitDown(name, absl::Seconds(10))) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(name, " survived SIGKILL"));
}

bool Supervisor::AwaitDown(const std::string& name, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  MutexLock lock(&mu_);
  const pid_t pid = children_[name].pid;
  while (pid != 0 && children_[name].pid == pid) {
    if (absl::Now() >= deadline) return false;
    changed_.WaitFor(&mu_, kWatchInterval);
  }
  return true;
}

pid_t Supervisor::Pid(const std::string& name) const {
  MutexLock lock(&mu_);
  const auto it = children_.find(name);
  return it == children_.end() ? 0 : it->second.pid;
}

int Supervisor::Restarts(const std::string& name) const {
  MutexLock lock(&mu_);
  const auto it = children_.find(name);
  return it == children_.end() ? 0 : it->second.restarts;
}

absl::Status Supervisor::CheckAlive(const std::string& name) const {
  std::string log_file;
  std::string end;
  {
    MutexLock lock(&mu_);
    const auto it = children_.find(name);
    if (it == children_.end()) return absl::NotFoundError(absl::StrCat("no such process: ", name));
    if (it->second.failures_in_a_row < kGivenUpAfter) return absl::OkStatus();
    log_file = it->second.spec.log_file;
    end = it->second.last_end;
  }
  return absl::FailedPreconditionError(absl::StrCat(name, " ended (", end, "); the end of ",
                                                    log_file, ":\n", TailOfFile(log_file, 8)));
}

void Supervisor::Watch() {
  MutexLock lock(&mu_);
  while (!stopping_) {
    for (auto& [name, child] : children_) {
      if (child.pid != 0) Reap(child);
      if (child.pid == 0 && child.wanted && absl::Now() >= child.next_start) Spawn(child);
    }
    changed_.WaitFor(&mu_, kWatchInterval);
  }
}

void Supervisor::Reap(Child& child) {
  int wait_status = 0;
  const pid_t ended = waitpid(child.pid, &wait_status, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return;
  std::error_code ignored;
  std::filesystem::remove(child.spec.pid_file, ignored);
  child.pid = 0;
  child.last_end = ended < 0 ? "unknown end" : DescribeEnd(wait_status);
  changed_.NotifyAll();
  if (!child.wanted) return;
  if (!child.spec.restart) {
    child.wanted = false;
    return;
  }
  const bool was_healthy = child.kill_asked || absl::Now() - child.started > kHealthyAfter;
  if (was_healthy) child.failures_in_a_row = 0;
  if (!child.kill_asked) ++child.failures_in_a_row;
  child.kill_asked = false;
  const absl::Duration wait = BackoffAfter(std::max(0, child.failures_in_a_row - 1));
  child.next_start = absl::Now() + wait;
  ++child.restarts;
  FAIRLEAD_LOG(WARNING) << "process ended, starting it again process=" << child.spec.name
                        << " end=\"" << child.last_end << "\" wait=" << absl::FormatDuration(wait);
}

void Supervisor::Spawn(Child& child) {
  std::vector<char*> argv;
  for (std::string& argument : child.spec.argv) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const int log_fd =
      open(child.spec.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  const pid_t parent = getpid();
  const pid_t pid = log_fd < 0 ? -1 : fork();
  if (pid == 0) BecomeChild(argv.data(), log_fd, parent);
  if (log_fd >= 0) close(log_fd);
  child.started = absl::Now();
  if (pid < 0) {
    child.next_start = child.started + BackoffAfter(child.failures_in_a_row++);
    child.last_end = absl::StrCat("not started: ", strerror(errno));
    FAIRLEAD_LOG(ERROR) << "cannot start process=" << child.spec.name << " " << child.last_end;
  } else {
    child.pid = pid;
    const absl::Status written = WriteFile(child.spec.pid_file, absl::StrCat(pid, "\n"), 0644);
    if (!written.ok()) FAIRLEAD_LOG(WARNING) << written.message();
  }
  changed_.NotifyAll();
}

}  // namespace fairlead::cli
