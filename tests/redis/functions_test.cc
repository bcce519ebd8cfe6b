#include "common/redis/functions.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/support/redis_server.h"

namespace fairlead::redis {
namespace {

class FunctionsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = fairlead::testing::RedisServer::Start();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(server).value();
    pool_ = std::make_unique<ConnectionPool>(server_->client_options());
  }
  std::unique_ptr<fairlead::testing::RedisServer> server_;
  std::unique_ptr<ConnectionPool> pool_;
};

TEST_F(FunctionsTest, EmbedsEachLibraryBehindThePrelude) {
  ASSERT_FALSE(EmbeddedLibraries().empty());
  for (const FunctionLibrary& library : EmbeddedLibraries()) {
    EXPECT_TRUE(
        absl::StartsWith(library.source, absl::StrCat("#!lua name=fairlead_", library.name, "\n")));
    EXPECT_TRUE(absl::StrContains(library.source, "local function now_of(argv)"));
    EXPECT_TRUE(absl::StrContains(library.source, "redis.register_function"));
  }
}

TEST_F(FunctionsTest, LoadsAllTwiceAndRefusesAnUnknownName) {
  EXPECT_TRUE(LoadFunctions(*pool_).ok());
  EXPECT_TRUE(LoadFunctions(*pool_).ok());
  const absl::StatusOr<Reply> list = pool_->Call({"FUNCTION", "LIST"});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->elements.size(), EmbeddedLibraries().size());
  EXPECT_EQ(LoadFunctions(*pool_, {"nonsense"}).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(FunctionsTest, LoadsWhatTheServerHasForgottenAndCallsAgain) {
  ASSERT_TRUE(LoadFunctions(*pool_).ok());
  ASSERT_TRUE(pool_->Call({"FUNCTION", "FLUSH"}).ok());
  const absl::Status missing = CallFunction(*pool_, "no_such_function", {}, {}).status();
  EXPECT_EQ(ReasonOf(missing), "STORE_SCRIPT");
  EXPECT_EQ(pool_->Call({"FUNCTION", "LIST"})->elements.size(), EmbeddedLibraries().size());
}

TEST_F(FunctionsTest, SaysWhenTheFunctionIsMissingAndMayNotBeLoaded) {
  ASSERT_TRUE(pool_->Call({"ACL", "SETUSER", "w", "on", ">p", "~fl:*", "+fcall"}).ok());
  RedisOptions options = server_->client_options();
  options.user = "w";
  options.password = "p";
  ConnectionPool limited(options);
  EXPECT_TRUE(absl::StrContains(CallFunction(limited, "fl_lane3_tick", {}, {}).status().message(),
                                "NOPERM"));
}

}  // namespace
}  // namespace fairlead::redis
