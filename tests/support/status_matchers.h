// ASSERT_OK and EXPECT_OK for absl::Status and absl::StatusOr: a failure prints the status.
#pragma once

#include <gtest/gtest.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace fairlead::testing {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

template <typename T>
::testing::AssertionResult IsOk(const T& result) {
  const absl::Status& status = StatusOf(result);
  if (status.ok()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << status;
}

}  // namespace fairlead::testing

#define ASSERT_OK(expression) ASSERT_TRUE(::fairlead::testing::IsOk(expression))
#define EXPECT_OK(expression) EXPECT_TRUE(::fairlead::testing::IsOk(expression))
