#include "common/base/log.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace fairlead {
namespace {

std::atomic<int> min_level{0};
std::string& ProcessName() {
  static std::string* name = new std::string("fairlead");
  return *name;
}

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
    case LogLevel::kFatal:
      return "fatal";
  }
  return "unknown";
}

}  // namespace

void SetMinLogLevel(LogLevel level) { min_level.store(static_cast<int>(level)); }
void SetLogProcessName(absl::string_view name) { ProcessName() = std::string(name); }

LogMessage::~LogMessage() {
  if (static_cast<int>(level_) >= min_level.load()) {
    const char* slash = std::strrchr(file_, '/');
    const std::string line = absl::StrCat(
        "ts=", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()),
        " level=", LevelName(level_), " proc=", ProcessName(), " at=", slash ? slash + 1 : file_,
        ":", line_, " ", stream_.str(), "\n");
    std::fwrite(line.data(), 1, line.size(), stderr);
  }
  if (level_ == LogLevel::kFatal) std::abort();
}

}  // namespace fairlead
