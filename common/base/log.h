// Logging in logfmt to stderr: `ts=… level=… at=file:line <message> key=value …`.
// One line per state change at INFO, one per failure at WARNING with code and reason. Never
// payloads, tokens or names of people. Not called LOG: torch and newer Abseil define that macro.
#pragma once

#include <sstream>
#include <string>

#include "absl/strings/string_view.h"

namespace fairlead {

enum class LogLevel { kInfo = 0, kWarning = 1, kError = 2, kFatal = 3 };

// Messages below `level` are dropped. Thread-safe. Default: kInfo.
void SetMinLogLevel(LogLevel level);
// Put in front of every line ("scheduler", "worker"); call once at start, before threads.
void SetLogProcessName(absl::string_view name);

class LogMessage {
 public:
  LogMessage(LogLevel level, const char* file, int line)
      : level_(level), file_(file), line_(line) {}
  ~LogMessage();  // Writes the line; ends the process when the level is kFatal.
  LogMessage(const LogMessage&) = delete;
  LogMessage& operator=(const LogMessage&) = delete;
  std::ostringstream& stream() { return stream_; }

 private:
  const LogLevel level_;
  const char* const file_;
  const int line_;
  std::ostringstream stream_;
};

}  // namespace fairlead

#define FAIRLEAD_LOG_LEVEL_INFO ::fairlead::LogLevel::kInfo
#define FAIRLEAD_LOG_LEVEL_WARNING ::fairlead::LogLevel::kWarning
#define FAIRLEAD_LOG_LEVEL_ERROR ::fairlead::LogLevel::kError
#define FAIRLEAD_LOG_LEVEL_FATAL ::fairlead::LogLevel::kFatal
// FAIRLEAD_LOG(INFO) << "task completed task=" << id;
#define FAIRLEAD_LOG(level) \
  ::fairlead::LogMessage(FAIRLEAD_LOG_LEVEL_##level, __FILE__, __LINE__).stream()

// For invariants that only a bug can break; on in release. Never on input or I/O.
#define FAIRLEAD_CHECK(condition) \
  if (!(condition)) FAIRLEAD_LOG(FATAL) << "check failed: " #condition " "
