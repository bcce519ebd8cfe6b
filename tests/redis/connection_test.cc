#include "common/redis/connection.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include "common/base/status.h"
#include "tests/support/redis_server.h"

namespace fairlead::redis {
namespace {

using fairlead::testing::RedisServer;
using fairlead::testing::RedisServerOptions;

std::unique_ptr<RedisServer> StartServer(RedisServerOptions options = {}) {
  absl::StatusOr<std::unique_ptr<RedisServer>> server = RedisServer::Start(std::move(options));
  EXPECT_TRUE(server.ok()) << server.status();
  return server.ok() ? std::move(server).value() : nullptr;
}

TEST(RedisOptionsTest, NamesTheFieldThatIsWrong) {
  RedisOptions options;
  for (const char* address : {"", "unix:", "localhost", "localhost:", "localhost:99999", ":6379"}) {
    options.address = address;
    EXPECT_EQ(FieldOf(options.Validate()), "address") << address;
  }
  for (const char* address : {"unix:/tmp/s", "localhost:6379", "[::1]:6379"}) {
    options.address = address;
    EXPECT_TRUE(options.Validate().ok()) << address;
  }
  options.user = "worker";
  EXPECT_EQ(FieldOf(options.Validate()), "password");
  options.user.clear();
  options.command_timeout = absl::ZeroDuration();
  EXPECT_EQ(FieldOf(options.Validate()), "command_timeout");
}

class ConnectionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = StartServer();
    ASSERT_NE(server_, nullptr);
  }
  std::unique_ptr<RedisServer> server_;
};

TEST_F(ConnectionTest, CarriesAnyBytesBothWays) {
  Connection connection(server_->client_options());
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  bytes += std::string("\r\n$5\r\n\0tail", 11);
  ASSERT_TRUE(connection.Call({"SET", bytes, bytes}).ok());
  const absl::StatusOr<Reply> reply = connection.Call({"GET", bytes});
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text, bytes);
}

TEST_F(ConnectionTest, ConvertsEveryKindOfReply) {
  Connection connection(server_->client_options());
  EXPECT_TRUE(connection.Call({"GET", "missing"})->is_nil());
  EXPECT_EQ(connection.Call({"SET", "n", "41"})->text, "OK");
  EXPECT_EQ(connection.Call({"INCR", "n"})->AsInt(), 42);
  EXPECT_EQ(connection.Call({"INCR", "n"})->AsText(), "43");
  const absl::StatusOr<Reply> nested =
      connection.Call({"EVAL", "return {1, {'a', redis.error_reply('ERR inner')}}", "0"});
  ASSERT_TRUE(nested.ok()) << nested.status();
  ASSERT_EQ(nested->elements.size(), 2u);
  EXPECT_EQ(nested->elements[0].AsInt(), 1);
  EXPECT_EQ(nested->elements[1].elements[0].AsText(), "a");
  EXPECT_EQ(nested->elements[1].elements[1].type, Reply::Type::kError);
}

TEST_F(ConnectionTest, PipelineKeepsOrderAndOneErrorSpoilsOnlyItsPlace) {
  Connection connection(server_->client_options());
  std::vector<Arguments> commands;
  for (int i = 0; i < 1000; ++i) commands.push_back({"RPUSH", "list", std::to_string(i)});
  commands.push_back({"INCR", "list"});
  commands.push_back({"LLEN", "list"});
  const absl::StatusOr<std::vector<Reply>> replies = connection.Pipeline(commands);
  ASSERT_TRUE(replies.ok()) << replies.status();
  ASSERT_EQ(replies->size(), 1002u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ((*replies)[i].AsInt(), i + 1);
  EXPECT_EQ((*replies)[1000].type, Reply::Type::kError);
  EXPECT_EQ((*replies)[1001].AsInt(), 1000);
  EXPECT_TRUE(connection.connected());
}

TEST_F(ConnectionTest, ErrorOfACommandIsInternalAndKeepsTheConnection) {
  Connection connection(server_->client_options());
  ASSERT_TRUE(connection.Call({"SET", "text", "x"}).ok());
  const absl::Status status = connection.Call({"LPUSH", "text", "y"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_NE(status.message().find("WRONGTYPE"), absl::string_view::npos) << status;
  EXPECT_TRUE(connection.connected());
}

TEST_F(ConnectionTest, UnavailableWhileTheServerIsGoneThenRecovers) {
  Connection connection(server_->client_options());
  ASSERT_TRUE(connection.Call({"SET", "k", "kept"}).ok());
  server_->Kill();
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = connection.Call({"GET", "k"}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(ReasonOf(status), "STORE_UNAVAILABLE");
  }
  ASSERT_TRUE(server_->Restart(/*keep_files=*/true).ok());
  const absl::StatusOr<Reply> reply = connection.Call({"GET", "k"});
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text, "kept");
}

TEST_F(ConnectionTest, TimesOutOnAServerThatDoesNotAnswer) {
  RedisOptions options = server_->client_options();
  options.command_timeout = absl::Milliseconds(50);
  Connection connection(options);
  const absl::Status status = connection.Call({"BLPOP", "nothing", "5"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(connection.connected());
  // The same call with the wait declared is no timeout, and the old timeout is back afterwards.
  const absl::StatusOr<Reply> waited =
      connection.BlockingCall({"BLPOP", "nothing", "0.2"}, absl::Seconds(1));
  ASSERT_TRUE(waited.ok()) << waited.status();
  EXPECT_TRUE(waited->is_nil());
  EXPECT_FALSE(connection.Call({"BLPOP", "nothing", "5"}).ok());
}

TEST_F(ConnectionTest, AuthenticatesAndWorksWithoutPermissionForInfo) {
  Connection admin(server_->client_options());
  ASSERT_TRUE(
      admin.Call({"ACL", "SETUSER", "worker", "on", ">secret", "~fl:*", "+get", "+set"}).ok());
  RedisOptions options = server_->client_options();
  options.user = "worker";
  options.password = "secret";
  Connection worker(options);
  EXPECT_TRUE(worker.Call({"SET", "fl:x", "1"}).ok());
  EXPECT_EQ(worker.run_id(), "");
  EXPECT_NE(worker.Call({"SET", "other", "1"}).status().message().find("NOPERM"),
            absl::string_view::npos);
  options.password = "wrong";
  Connection stranger(options);
  EXPECT_NE(stranger.Call({"GET", "fl:x"}).status().message().find("WRONGPASS"),
            absl::string_view::npos);
}

TEST_F(ConnectionTest, PoolTellsOfEachNewRunIdBeforeTheCall) {
  std::vector<std::string> seen;
  std::vector<std::string> order;
  ConnectionPool pool(server_->client_options(), [&](const std::string& run_id) {
    seen.push_back(run_id);
    order.push_back("told");
  });
  ASSERT_TRUE(pool.Call({"PING"}).ok());
  order.push_back("called");
  ASSERT_TRUE(pool.Call({"PING"}).ok());
  EXPECT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].size(), 40u);
  EXPECT_EQ(order, (std::vector<std::string>{"told", "called"}));
  ASSERT_TRUE(server_->Restart(/*keep_files=*/true).ok());
  EXPECT_EQ(pool.Call({"PING"}).status().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(pool.Call({"PING"}).ok());
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_NE(seen[0], seen[1]);
}

TEST_F(ConnectionTest, FullServerRefusesWithResourceExhausted) {
  Connection connection(server_->client_options());
  ASSERT_TRUE(connection.Call({"CONFIG", "SET", "maxmemory", "1"}).ok());
  const absl::Status status = connection.Call({"SET", "k", "v"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), "STORE_FULL");
}

TEST_F(ConnectionTest, CheckServerAcceptsTheRightSettings) {
  ConnectionPool pool(server_->client_options());
  EXPECT_TRUE(CheckServer(pool, /*dev_mode=*/false).ok());
}

TEST_F(ConnectionTest, CheckServerRefusesEvictionAndNamesIt) {
  ConnectionPool pool(server_->client_options());
  ASSERT_TRUE(pool.Call({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"}).ok());
  const absl::Status status = CheckServer(pool, /*dev_mode=*/true);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "redis has maxmemory-policy = allkeys-lru, it must be noeviction");
}

TEST_F(ConnectionTest, CheckServerRefusesMissingAppendOnlyFileOutsideDevMode) {
  ConnectionPool pool(server_->client_options());
  ASSERT_TRUE(pool.Call({"CONFIG", "SET", "appendonly", "no"}).ok());
  EXPECT_TRUE(CheckServer(pool, /*dev_mode=*/true).ok());
  const absl::Status status = CheckServer(pool, /*dev_mode=*/false);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("appendonly"), absl::string_view::npos) << status;
}

TEST_F(ConnectionTest, CheckServerIsUnavailableWithoutAServer) {
  ConnectionPool pool(server_->client_options());
  server_->Kill();
  EXPECT_EQ(CheckServer(pool, false).code(), absl::StatusCode::kUnavailable);
}

TEST(RedisServerTest, RestartsWithAndWithoutItsFiles) {
  std::unique_ptr<RedisServer> server = StartServer();
  ASSERT_NE(server, nullptr);
  ConnectionPool pool(server->client_options());
  ASSERT_TRUE(pool.Call({"SET", "k", "v"}).ok());
  ASSERT_TRUE(server->Restart(/*keep_files=*/true).ok());
  Connection first(server->client_options());
  EXPECT_EQ(first.Call({"GET", "k"})->text, "v");
  ASSERT_TRUE(server->Restart(/*keep_files=*/false).ok());
  Connection second(server->client_options());
  EXPECT_TRUE(second.Call({"GET", "k"})->is_nil());
}

TEST(RedisServerTest, ClusterRefusesCallsAcrossSlots) {
  RedisServerOptions options;
  options.cluster = true;
  std::unique_ptr<RedisServer> server = StartServer(options);
  ASSERT_NE(server, nullptr);
  Connection connection(server->client_options());
  EXPECT_TRUE(connection.Call({"MSET", "fl:{s0}:a", "1", "fl:{s0}:b", "2"}).ok());
  EXPECT_FALSE(connection.Call({"MSET", "fl:{s0}:a", "1", "fl:{s1}:b", "2"}).ok());
}

}  // namespace
}  // namespace fairlead::redis
