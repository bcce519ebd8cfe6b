#include "tests/bench/processes.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

namespace fairlead::bench {

namespace fs = std::filesystem;

Finished RunProgram(const std::vector<std::string>& words) {
  const auto start = std::chrono::steady_clock::now();
  int ends[2];
  if (pipe(ends) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(ends[1]);
  Finished finished;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof(buffer))) > 0;) {
    finished.output.append(buffer, static_cast<size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  rusage usage = {};
  if (child < 0 || wait4(child, &status, 0, &usage) != child) return {};
  finished.wall_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (WIFEXITED(status)) finished.exit_code = WEXITSTATUS(status);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  finished.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  return finished;
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (fs::temp_directory_path() / "fairlead_bench_XXXXXX").string();
  path_ = mkdtemp(pattern.data());
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  fs::remove_all(path_, error);
}

std::string PythonWith(const std::string& modules) {
  for (const char* python : {"python3", "/usr/bin/python3"}) {
    if (RunProgram(
            {python, "-c",
             "import importlib.util as u, sys; sys.exit(any(u.find_spec(m) is None for m in '" +
                 modules + "'.split()))"})
            .exit_code == 0) {
      return python;
    }
  }
  return "";
}

}  // namespace fairlead::bench
