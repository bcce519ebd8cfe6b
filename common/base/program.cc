#include "common/base/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status.h"

namespace fairlead {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostSaid = 2048;
constexpr auto kBetweenChecks = std::chrono::milliseconds(50);

// A process that does not outlive this object.
class Child {
 public:
  Child() = default;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) End(/*by_force=*/true);
  }

  absl::Status Start(const std::vector<std::string>& argv) {
    std::array<int, 2> ends = {-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return ErrnoStatus("making a pipe");
    output_ = FileDescriptor(ends[0]);
    const FileDescriptor theirs(ends[1]);
    fcntl(output_.get(), F_SETFL, O_NONBLOCK);
    std::vector<std::string> words = argv;
    std::vector<char*> pointers;
    pointers.reserve(words.size() + 1);
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, theirs.get(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, theirs.get(), STDERR_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    const int failure =
        posix_spawn(&pid_, argv[0].c_str(), &actions, &attributes, pointers.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (failure == 0) return Watch();
    pid_ = -1;
    errno = failure;
    return ErrnoStatus(absl::StrCat("starting ", argv[0]));
  }

  // Ends it should this process be killed; what it took before is nothing beside the limit.
  absl::Status LimitProcessorTime(absl::Duration time) const {
    const double cores = std::max(1U, std::thread::hardware_concurrency());
    const rlim_t seconds = static_cast<rlim_t>(absl::ToDoubleSeconds(time) * cores) + 1;
    const rlimit limit = {seconds, seconds}, none = {0, 0};
    const bool set = prlimit(pid_, RLIMIT_CPU, &limit, nullptr) == 0 &&
                     prlimit(pid_, RLIMIT_CORE, &none, nullptr) == 0;
    return set || errno == ESRCH ? absl::OkStatus() : ErrnoStatus("limiting a process");
  }

  // What of its own is in memory, libraries left out: CUDA's are gigabytes. 0 once it has ended.
  int64_t ResidentBytes() const {
    std::ifstream file(absl::StrCat("/proc/", pid_, "/statm"));
    int64_t size = 0, resident = 0, of_files = 0;
    file >> size >> resident >> of_files;
    return (resident - of_files) * sysconf(_SC_PAGESIZE);
  }

  // Waits for output or the end, at most `longest`; true at the end.
  bool HasEnded(Clock::duration longest, std::string& said) {
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(longest).count();
    std::array<pollfd, 2> wanted = {
        {{process_.get(), POLLIN, 0}, {open_ ? output_.get() : -1, POLLIN, 0}}};
    poll(wanted.data(), wanted.size(), static_cast<int>(std::max<int64_t>(0, milliseconds)));
    Drain(said);
    return wanted[0].revents != 0;
  }

  // Its wait status.
  int End(bool by_force) {
    if (by_force) kill(pid_, SIGKILL);
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  // The system call itself: glibc 2.36 declares its wrapper for C only.
  absl::Status Watch() {
    process_ = FileDescriptor(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
    return process_.valid() ? absl::OkStatus() : ErrnoStatus("watching a process");
  }

  void Drain(std::string& said) {
    std::array<char, 4096> part = {};
    ssize_t got = 0;
    while ((got = read(output_.get(), part.data(), part.size())) > 0) {
      said.append(part.data(), static_cast<size_t>(got));
      if (said.size() > kMostSaid) said.erase(0, said.size() - kMostSaid);
    }
    if (got == 0) open_ = false;
  }

  pid_t pid_ = -1;
  FileDescriptor process_, output_;
  bool open_ = true;  // Whether the output may still say something.
};

}  // namespace

absl::StatusOr<std::string> ProgramBeside(absl::string_view name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return absl::InternalError("cannot read /proc/self/exe");
  std::string path = (self.parent_path() / std::string(name)).string();
  if (access(path.c_str(), X_OK) == 0) return path;
  return absl::FailedPreconditionError(
      absl::StrCat(path, " is missing: install it beside this program"));
}

absl::StatusOr<ProgramEnd> RunProgram(const std::vector<std::string>& argv,
                                      const ProgramLimits& limits,
                                      const std::function<absl::Status()>& check) {
  const Clock::time_point deadline = Clock::now() + absl::ToChronoMilliseconds(limits.time);
  Child child;
  RETURN_IF_ERROR(child.Start(argv));
  RETURN_IF_ERROR(child.LimitProcessorTime(limits.time));
  ProgramEnd end;
  bool ended = false;
  while (!ended && !end.timed_out && !end.out_of_memory) {
    RETURN_IF_ERROR(check());
    const Clock::duration left = deadline - Clock::now();
    ended = child.HasEnded(std::min<Clock::duration>(left, kBetweenChecks), end.said);
    end.timed_out = !ended && Clock::now() >= deadline;
    end.out_of_memory = !ended && child.ResidentBytes() > limits.memory_bytes;
  }
  const int status = child.End(/*by_force=*/!ended);
  if (WIFEXITED(status)) end.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status) && ended) end.signal = WTERMSIG(status);
  return end;
}

}  // namespace fairlead
