// Programs that a benchmark starts, and what they cost.
#pragma once

#include <string>
#include <vector>

namespace fairlead::bench {

struct Finished {
  int exit_code = -1;
  double cpu_seconds = 0;  // User and system, of the process and the children it waited for.
  double wall_seconds = 0;
  std::string output;
};

// Runs a program to its end; its standard output is collected, its errors are shown.
Finished RunProgram(const std::vector<std::string>& words);

// A folder that is gone when the benchmark is.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A python3 that has these modules (names with blanks between); empty when there is none.
std::string PythonWith(const std::string& modules);

}  // namespace fairlead::bench
