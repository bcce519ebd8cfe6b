#include "tests/support/strict_functions.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"
#include "common/redis/functions.h"

namespace fairlead::testing {
namespace {

constexpr char kChecks[] = R"lua(
local declared = {}
local function strict_call(command, first, ...)
  if command == 'TIME' then return redis.call('TIME') end
  local keys = {first}
  if command == 'UNLINK' or command == 'DEL' then keys = {first, ...} end
  for _, key in ipairs(keys) do
    if not declared[key] then error('undeclared key ' .. tostring(key) .. ' of ' .. command) end
  end
  return redis.call(command, first, ...)
end
local function strict(callback)
  return function(keys, argv)
    declared = {}
    for _, key in ipairs(keys) do declared[key] = true end
    return callback(keys, argv)
  end
end
local function strict_register(name, callback)
  if callback then return redis.register_function(name, strict(callback)) end
  name.callback = strict(name.callback)
  return redis.register_function(name)
end
)lua";

}  // namespace

std::string StrictSource(const std::string& source) {
  const size_t head = source.find('\n') + 1;
  const std::string body = absl::StrReplaceAll(
      source.substr(head),
      {{"redis.call(", "strict_call("}, {"redis.register_function", "strict_register"}});
  return absl::StrCat(source.substr(0, head), kChecks, body);
}

absl::Status LoadStrictFunctions(redis::ConnectionPool& pool) {
  for (const redis::FunctionLibrary& library : redis::EmbeddedLibraries()) {
    RETURN_IF_ERROR(
        pool.Call({"FUNCTION", "LOAD", "REPLACE", StrictSource(library.source)}).status());
  }
  return absl::OkStatus();
}

}  // namespace fairlead::testing
