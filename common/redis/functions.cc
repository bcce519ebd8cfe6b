#include "common/redis/functions.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace fairlead::redis {
namespace {

// Whether the server has this very library.
bool HasLibrary(ConnectionPool& pool, const FunctionLibrary& library) {
  const absl::StatusOr<Reply> found = pool.Call(
      {"FUNCTION", "LIST", "LIBRARYNAME", absl::StrCat("fairlead_", library.name), "WITHCODE"});
  if (!found.ok() || found->elements.size() != 1) return false;
  const std::vector<Reply>& fields = found->elements[0].elements;
  return std::any_of(fields.begin(), fields.end(),
                     [&](const Reply& field) { return field.text == library.source; });
}

}  // namespace

absl::Status LoadFunctions(ConnectionPool& pool, const std::vector<std::string>& names) {
  const std::vector<FunctionLibrary>& libraries = EmbeddedLibraries();
  for (const std::string& name : names) {
    const bool known = std::any_of(libraries.begin(), libraries.end(),
                                   [&](const FunctionLibrary& one) { return one.name == name; });
    if (!known) {
      return absl::InvalidArgumentError(absl::StrCat("no function library is called ", name));
    }
  }
  for (const FunctionLibrary& library : libraries) {
    const bool wanted =
        names.empty() || std::find(names.begin(), names.end(), library.name) != names.end();
    if (!wanted) continue;
    const absl::StatusOr<Reply> reply = pool.Call({"FUNCTION", "LOAD", "REPLACE", library.source});
    if (reply.ok() || (ReasonOf(reply.status()) == "STORE_FULL" && HasLibrary(pool, library))) {
      continue;
    }
    return Annotate(reply.status(), absl::StrCat("loading function library ", library.name));
  }
  return absl::OkStatus();
}

Arguments FunctionCommand(absl::string_view name, const std::vector<std::string>& keys,
                          const Arguments& arguments) {
  Arguments command;
  command.reserve(3 + keys.size() + arguments.size());
  command.push_back("FCALL");
  command.emplace_back(name);
  command.push_back(absl::StrCat(keys.size()));
  command.insert(command.end(), keys.begin(), keys.end());
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

absl::StatusOr<Reply> CallFunction(ConnectionPool& pool, absl::string_view name,
                                   const std::vector<std::string>& keys, const Arguments& arguments,
                                   absl::string_view server) {
  const Arguments command = FunctionCommand(name, keys, arguments);
  absl::StatusOr<Reply> reply = pool.Call(command, server);
  if (reply.ok() || ReasonOf(reply.status()) != "STORE_SCRIPT") return reply;
  RETURN_IF_ERROR(LoadFunctions(pool));
  return pool.Call(command, server);
}

}  // namespace fairlead::redis
