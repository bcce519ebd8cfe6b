// Small files of the tool: whole reads with a bound, secret files, atomic replacement.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fairlead::cli {

// The file's bytes. NOT_FOUND, PERMISSION_DENIED, or RESOURCE_EXHAUSTED above `max_bytes`; the
// message names the path.
absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes = 64 << 20);

// Replaces the file at once (temporary name, fsync, rename), with mode `mode` from the beginning.
absl::Status WriteFile(const std::string& path, absl::string_view bytes, int mode = 0644);

// mkdir -p with `mode` for the last one; an existing directory keeps its mode.
absl::Status MakeDirectory(const std::string& path, int mode = 0755);

// The directory of the running binary, for its siblings.
absl::StatusOr<std::string> OwnBinaryDirectory();

// `path` made absolute against the working directory.
std::string AbsolutePath(const std::string& path);

// The last `lines` lines of a log, for an error message; empty when there is none.
std::string TailOfFile(const std::string& path, int lines);

}  // namespace fairlead::cli
