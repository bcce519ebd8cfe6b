// The embedded function libraries with every redis.call checked: it may touch declared keys only.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/redis/connection.h"

namespace fairlead::testing {

// One library's source with the checks in it.
std::string StrictSource(const std::string& source);

// Replaces the libraries on the server. A call of an undeclared key then ends in an error that says
// "undeclared key". What a function does otherwise is unchanged.
absl::Status LoadStrictFunctions(redis::ConnectionPool& pool);

}  // namespace fairlead::testing
