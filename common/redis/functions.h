// Redis Functions: the server-side half of every transition. One library a domain, written in
// common/redis/lua/<domain>.lua, embedded in the binary behind common/redis/lua/prelude.lua.
//
// Convention of every function. KEYS[1..3] are the slot's incarnation, sequence counter and event
// stream (lane functions: see lua/lane3.*.lua). ARGV[1] = now in Unix ms, 0 means Redis TIME (only
// simulation passes another); ARGV[2] = the slot's incarnation as the caller knows it. It returns
// an array: {code, now_ms, seq, …}; code "OK" or one of the codes documented above the function;
// seq is the sequence of the event it wrote, 0 for none. Validates first, writes last: another code
// than OK means nothing was written.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/redis/connection.h"

namespace fairlead::redis {

// The libraries embedded in this binary: {name, source}, prelude included.
struct FunctionLibrary {
  std::string name;
  std::string source;
};
const std::vector<FunctionLibrary>& EmbeddedLibraries();

// Loads (or replaces) the named embedded libraries, all when `names` is empty. Idempotent. A full
// Redis takes no library (RESOURCE_EXHAUSTED / STORE_FULL); that is no error when it has the same
// one.
absl::Status LoadFunctions(ConnectionPool& pool, const std::vector<std::string>& names = {});

// FCALL name with keys and arguments. When Redis has forgotten the library it is loaded again and
// the call repeated once (it had no effect the first time). `server`: see ConnectionPool::Call.
absl::StatusOr<Reply> CallFunction(ConnectionPool& pool, absl::string_view name,
                                   const std::vector<std::string>& keys, const Arguments& arguments,
                                   absl::string_view server = "");

// The FCALL command for a pipeline.
Arguments FunctionCommand(absl::string_view name, const std::vector<std::string>& keys,
                          const Arguments& arguments);

}  // namespace fairlead::redis
