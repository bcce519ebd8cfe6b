#include "scheduler/cli/cluster.h"

#include <sys/stat.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/cli/file.h"

namespace fairlead::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string TemporaryDirectory() {
  std::string pattern = ::testing::TempDir() + "/flXXXXXX";
  return mkdtemp(pattern.data());
}

TEST(ClusterTest, RedisConfigKeepsEverythingAndListensOnNoPort) {
  ClusterOptions options;
  options.data_dir = "/data";
  const std::string config = RedisConfig(options, "secret");
  EXPECT_THAT(config, HasSubstr("\nport 0\n"));
  EXPECT_THAT(config, HasSubstr("\nunixsocket /data/run/redis.sock\n"));
  EXPECT_THAT(config, HasSubstr("\nunixsocketperm 700\n"));
  EXPECT_THAT(config, HasSubstr("\nappendonly yes\n"));
  EXPECT_THAT(config, HasSubstr("\nmaxmemory-policy noeviction\n"));
  EXPECT_THAT(config, HasSubstr("user worker on >secret resetkeys ~fl:{m* resetchannels -@all "));
  EXPECT_THAT(config, Not(HasSubstr("user worker on >secret resetkeys ~*")));
  options.dev = true;
  EXPECT_THAT(RedisConfig(options, "secret"), HasSubstr("\nappendonly no\n"));
}

TEST(ClusterTest, TheWorkersRedisUserReachesTheMachineLaneOnly) {
  const auto redis_server = FindInPath("redis-server");
  if (!redis_server.ok()) GTEST_SKIP() << redis_server.status().message();
  ClusterOptions options;
  options.data_dir = TemporaryDirectory();
  ASSERT_TRUE(MakeDirectory(options.data_dir + "/run").ok());
  ASSERT_TRUE(MakeDirectory(options.data_dir + "/redis").ok());
  const std::string config = options.data_dir + "/redis.conf";
  ASSERT_TRUE(WriteFile(config, RedisConfig(options, "secret"), 0600).ok());
  Supervisor supervisor;
  ChildSpec redis;
  redis.name = "redis";
  redis.argv = {*redis_server, config};
  redis.log_file = options.data_dir + "/redis.log";
  redis.pid_file = options.data_dir + "/redis.pid";
  supervisor.Add(redis);
  ASSERT_TRUE(supervisor.Start("redis").ok());
  const std::string socket = options.data_dir + "/run/redis.sock";
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (!PingRedis(socket).ok() && absl::Now() < deadline) sched_yield();
  ASSERT_TRUE(PingRedis(socket).ok()) << TailOfFile(redis.log_file, 20);
  struct stat entry = {};
  ASSERT_EQ(stat(socket.c_str(), &entry), 0);
  EXPECT_EQ(entry.st_mode & 0777, 0700u);
  EXPECT_THAT(AskRedis(socket, "AUTH worker wrong\r\n"), HasSubstr("WRONGPASS"));
  const std::string worker = "AUTH worker secret\r\n";
  EXPECT_THAT(AskRedis(socket, worker + "GET fl:{m0}:x\r\n"), HasSubstr("$-1"));
  EXPECT_THAT(AskRedis(socket, worker + "GET fl:{0}:x\r\n"), HasSubstr("NOPERM"));
  EXPECT_THAT(AskRedis(socket, worker + "CONFIG GET maxmemory\r\n"), HasSubstr("NOPERM"));
  EXPECT_THAT(AskRedis(socket, worker + "FLUSHALL\r\n"), HasSubstr("NOPERM"));
  EXPECT_THAT(AskRedis(socket, worker + "FUNCTION DELETE x\r\n"), HasSubstr("NOPERM"));
  EXPECT_THAT(AskRedis(socket, worker + "KEYS *\r\n"), HasSubstr("NOPERM"));
}

TEST(ClusterTest, RefusesWhatCannotWorkAndSaysWhatToDo) {
  ClusterOptions options;
  options.data_dir = TemporaryDirectory();
  options.redis_server = "/bin/true";
  options.binary_dir = "/nonexistent";
  EXPECT_THAT(LocalCluster::Create(options).status().message(), HasSubstr("./dev build"));
  options.data_dir = absl::StrCat("/tmp/", std::string(100, 'x'));
  EXPECT_THAT(LocalCluster::Create(options).status().message(), HasSubstr("shorter path"));
  options.data_dir = "d";
  options.workers = 65;
  EXPECT_THAT(LocalCluster::Create(options).status().message(), HasSubstr("workers"));
}

TEST(ClusterTest, AMissingRedisServerNamesThePackage) {
  const std::string path = std::getenv("PATH");
  setenv("PATH", "/nonexistent", 1);
  ClusterOptions options;
  options.data_dir = TemporaryDirectory();
  const absl::Status status = LocalCluster::Create(options).status();
  setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("install the package `redis-server`"));
}

TEST(ClusterTest, ADirectoryServesOneClusterAtATime) {
  ClusterOptions options;
  options.data_dir = TemporaryDirectory();
  options.binary_dir = TemporaryDirectory();
  options.redis_server = "/bin/true";
  options.workers = 0;
  ASSERT_TRUE(WriteFile(options.binary_dir + "/fairlead-scheduler", "#!/bin/sh\n", 0755).ok());
  const auto first = LocalCluster::Create(options);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(LocalCluster::Create(options).status().message(), HasSubstr("another `fairlead up`"));
}

TEST(CredentialsTest, SurviveTheFileAndAreForTheOwnerOnly) {
  Credentials credentials;
  credentials.address = "unix:/x";
  credentials.tenant = "dev";
  credentials.operator_token = "o";
  credentials.client_token = "c";
  credentials.worker_token = "w";
  const std::string path = TemporaryDirectory() + "/credentials.json";
  ASSERT_TRUE(SaveCredentials(path, credentials).ok());
  struct stat entry = {};
  ASSERT_EQ(stat(path.c_str(), &entry), 0);
  EXPECT_EQ(entry.st_mode & 0777, 0600u);
  const auto loaded = LoadCredentials(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->address, "unix:/x");
  EXPECT_EQ(loaded->worker_token, "w");
  EXPECT_THAT(ParseCredentials("{}", "f").status().message(),
              HasSubstr("f: \"address\" is missing"));
  EXPECT_THAT(ParseCredentials("x", "f").status().message(), HasSubstr("f: not JSON"));
}

}  // namespace
}  // namespace fairlead::cli
