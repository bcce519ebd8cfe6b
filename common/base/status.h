// Errors: canonical absl codes plus a machine-readable reason and, for bad input, the field's path.
// The one place that turns them into gRPC statuses is common/rpc/grpc_status.h.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fairlead {

// A status with a reason (UPPER_SNAKE_CASE, stable, read by programs): LEASE_LOST, QUEUE_FULL, ….
// `message`: what failed, with which id; lower case; no payloads and no names of people.
absl::Status Error(absl::StatusCode code, absl::string_view reason, absl::string_view message);

// INVALID_ARGUMENT with reason FIELD_INVALID. `field` is the path in the request
// ("tasks[17].payload"). The message reads "<field>: <problem and how to mend it>".
absl::Status FieldError(absl::string_view field, absl::string_view message);

// The reason given to Error(), or "" when there is none.
std::string ReasonOf(const absl::Status& status);
// The field path given to FieldError(), or "".
std::string FieldOf(const absl::Status& status);

// The same status with "<context>: " in front of its message; reason and field are kept. OK stays
// OK.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

}  // namespace fairlead

#define FAIRLEAD_CONCAT_INNER(a, b) a##b
#define FAIRLEAD_CONCAT(a, b) FAIRLEAD_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expr` is not OK.
#define RETURN_IF_ERROR(expr)                                                                 \
  do {                                                                                        \
    if (absl::Status fairlead_status = (expr); !fairlead_status.ok()) return fairlead_status; \
  } while (false)

// ASSIGN_OR_RETURN(auto x, F()): declares x from a StatusOr or returns its error.
// A declaration and a name cannot stand in parentheses: NOLINTBEGIN(bugprone-macro-parentheses)
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_IMPL(FAIRLEAD_CONCAT(fairlead_statusor_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                          \
  if (!tmp.ok()) return tmp.status();         \
  lhs = std::move(tmp).value()
// NOLINTEND(bugprone-macro-parentheses)
