#include "scheduler/cli/supervisor.h"

#include <sched.h>
#include <signal.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/cli/file.h"

namespace fairlead::cli {
namespace {

using ::testing::HasSubstr;

ChildSpec Shell(const std::string& name, const std::string& script) {
  ChildSpec spec;
  spec.name = name;
  spec.argv = {"/bin/sh", "-c", script};
  spec.log_file = absl::StrCat(::testing::TempDir(), "/", name, ".log");
  spec.pid_file = absl::StrCat(::testing::TempDir(), "/", name, ".pid");
  spec.stop_timeout = absl::Milliseconds(500);
  return spec;
}

// Asks until `condition` holds, for a bounded time: there are real processes behind it.
template <typename Condition>
bool Eventually(Condition condition) {
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    sched_yield();
  }
  return true;
}

TEST(SupervisorTest, StartsWritesThePidFileAndStops) {
  Supervisor supervisor;
  const ChildSpec spec = Shell("plain", "exec sleep 100");
  supervisor.Add(spec);
  ASSERT_TRUE(supervisor.Start("plain").ok());
  const pid_t pid = supervisor.Pid("plain");
  ASSERT_GT(pid, 0);
  EXPECT_TRUE(
      Eventually([&] { return ReadFile(spec.pid_file).value_or("") == absl::StrCat(pid, "\n"); }));
  ASSERT_TRUE(supervisor.Stop("plain").ok());
  EXPECT_EQ(supervisor.Pid("plain"), 0);
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_FALSE(ReadFile(spec.pid_file).ok());
}

TEST(SupervisorTest, AKilledChildComesBack) {
  Supervisor supervisor;
  supervisor.Add(Shell("phoenix", "exec sleep 100"));
  ASSERT_TRUE(supervisor.Start("phoenix").ok());
  const pid_t first = supervisor.Pid("phoenix");
  ASSERT_TRUE(supervisor.Kill("phoenix").ok());
  ASSERT_TRUE(Eventually([&] { return supervisor.Pid("phoenix") != 0; }));
  EXPECT_NE(supervisor.Pid("phoenix"), first);
  EXPECT_EQ(supervisor.Restarts("phoenix"), 1);
  EXPECT_TRUE(supervisor.CheckAlive("phoenix").ok());
}

TEST(SupervisorTest, AKilledChildStaysDownWhenToldSo) {
  Supervisor supervisor;
  supervisor.Add(Shell("down", "exec sleep 100"));
  ASSERT_TRUE(supervisor.Start("down").ok());
  ASSERT_TRUE(supervisor.Kill("down", /*stay_down=*/true).ok());
  EXPECT_EQ(supervisor.Pid("down"), 0);
  ASSERT_TRUE(supervisor.Start("down").ok());
  EXPECT_NE(supervisor.Pid("down"), 0);
  EXPECT_EQ(supervisor.Restarts("down"), 0);
}

TEST(SupervisorTest, AChildThatIgnoresSigtermIsKilled) {
  Supervisor supervisor;
  const ChildSpec spec = Shell("stubborn", "trap '' TERM; echo ready; while :; do sleep 1; done");
  supervisor.Add(spec);
  ASSERT_TRUE(supervisor.Start("stubborn").ok());
  ASSERT_TRUE(Eventually([&] { return !TailOfFile(spec.log_file, 1).empty(); }));
  EXPECT_TRUE(supervisor.Stop("stubborn").ok());
  EXPECT_EQ(supervisor.Pid("stubborn"), 0);
}

TEST(SupervisorTest, AChildThatKeepsDyingIsReportedWithItsLog) {
  Supervisor supervisor;
  supervisor.Add(Shell("broken", "echo the reason; exit 3"));
  ASSERT_TRUE(supervisor.Start("broken").ok());
  ASSERT_TRUE(Eventually([&] { return !supervisor.CheckAlive("broken").ok(); }));
  const std::string message(supervisor.CheckAlive("broken").message());
  EXPECT_THAT(message, HasSubstr("exit code 3"));
  EXPECT_THAT(message, HasSubstr("the reason"));
}

TEST(SupervisorTest, UnknownNamesAndMissingBinariesAreNotFound) {
  Supervisor supervisor;
  EXPECT_EQ(supervisor.Start("nobody").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(supervisor.Stop("nobody").code(), absl::StatusCode::kNotFound);
  ChildSpec spec = Shell("missing", "");
  spec.argv = {"/nonexistent/binary"};
  supervisor.Add(spec);
  EXPECT_EQ(supervisor.Start("missing").code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace fairlead::cli
