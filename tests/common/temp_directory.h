// A directory that lives as long as the test.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "common/base/log.h"

namespace fairlead {

class TempDirectory {
 public:
  TempDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "fairlead_XXXXXX").string();
    FAIRLEAD_CHECK(::mkdtemp(name.data()) != nullptr) << name;
    path_ = name;
  }
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace fairlead
