#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/redis/connection.h"

namespace fairlead::redis {
namespace {

absl::Status Refusal(absl::string_view setting, absl::string_view is, absl::string_view must) {
  return Error(absl::StatusCode::kFailedPrecondition, "STORE_SETTING",
               absl::StrCat("redis has ", setting, " = ", is, ", it must be ", must));
}

std::string InfoField(const std::string& info, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(info, absl::ByAnyChar("\r\n"))) {
    if (absl::ConsumePrefix(&line, name) && absl::ConsumePrefix(&line, ":")) {
      return std::string(line);
    }
  }
  return "";
}

}  // namespace

absl::Status CheckServer(ConnectionPool& pool, bool dev_mode) {
  // INFO rather than CONFIG GET: managed servers refuse CONFIG, and it tells what is in force.
  ASSIGN_OR_RETURN(const Reply server, pool.Call({"INFO", "server"}));
  const std::string version = InfoField(server.AsText(), "redis_version");
  int major = 0;
  const std::vector<std::string> parts = absl::StrSplit(version, '.');
  if (!absl::SimpleAtoi(parts[0], &major) || major < 7) {
    return Refusal("redis_version", version, "7.0 or newer");
  }
  ASSIGN_OR_RETURN(const Reply memory, pool.Call({"INFO", "memory"}));
  const std::string policy = InfoField(memory.AsText(), "maxmemory_policy");
  if (policy != "noeviction") return Refusal("maxmemory-policy", policy, "noeviction");
  ASSIGN_OR_RETURN(const Reply persistence, pool.Call({"INFO", "persistence"}));
  const std::string aof = InfoField(persistence.AsText(), "aof_enabled");
  if (!dev_mode && aof != "1") return Refusal("appendonly", "no", "yes (or declare a dev mode)");
  return absl::OkStatus();
}

}  // namespace fairlead::redis
