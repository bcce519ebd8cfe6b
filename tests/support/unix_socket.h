// Sockets for the servers that tests put in front of a client.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fairlead::testing {

// How soon a thread that polls a socket notices that its server ends.
inline constexpr int kPollMs = 20;

// A listening socket on `path`, which is taken over when it exists.
absl::StatusOr<int> ListenOn(const std::string& path);
// A listening TCP socket on 127.0.0.1, at a port that was free.
absl::StatusOr<int> ListenOnLoopback(int* port);
// A connection to a unix socket; -1 when there is none to be had.
int ConnectTo(const std::string& path);
bool SendAll(int fd, absl::string_view bytes);

}  // namespace fairlead::testing
