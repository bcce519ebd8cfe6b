#include "common/base/program.h"

#include <signal.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fairlead {
namespace {

using ::testing::HasSubstr;

absl::Status Continue() { return absl::OkStatus(); }

ProgramEnd EndOf(const std::string& script, const ProgramLimits& limits = {}) {
  const absl::StatusOr<ProgramEnd> end = RunProgram({"/bin/sh", "-c", script}, limits, Continue);
  EXPECT_TRUE(end.ok()) << end.status();
  return end.value_or(ProgramEnd());
}

TEST(ProgramTest, TellsHowItEndedAndWhatItSaid) {
  const ProgramEnd end = EndOf("read nothing; echo out; echo problem >&2; exit 3");
  EXPECT_EQ(end.exit_code, 3);
  EXPECT_EQ(end.signal, 0);
  EXPECT_EQ(end.said, "out\nproblem\n");
  EXPECT_EQ(EndOf("kill -SEGV $$").signal, SIGSEGV);
}

TEST(ProgramTest, KeepsTheEndOfALongTalk) {
  const ProgramEnd end = EndOf("head -c 1000000 /dev/zero | tr '\\0' x; echo end");
  EXPECT_EQ(end.exit_code, 0);
  EXPECT_EQ(end.said.size(), 2048u);
  EXPECT_THAT(end.said, HasSubstr("xxx"));
  EXPECT_EQ(end.said.substr(end.said.size() - 4), "end\n");
}

TEST(ProgramTest, IsKilledAtItsLimits) {
  const ProgramEnd slow = EndOf("exec tail -f /dev/null", {absl::Milliseconds(100)});
  EXPECT_TRUE(slow.timed_out);
  EXPECT_EQ(slow.signal, 0);
  const ProgramEnd large =
      EndOf("x=$(head -c 4000000000 /dev/zero | tr '\\0' x)", {absl::Minutes(2), 64 << 20});
  EXPECT_TRUE(large.out_of_memory);
  EXPECT_EQ(large.signal, 0);
}

TEST(ProgramTest, IsKilledWhenNoLongerWanted) {
  int asked = 0;
  const auto end = RunProgram({"/bin/sh", "-c", "exec tail -f /dev/null"}, {}, [&] {
    return ++asked < 3 ? absl::OkStatus() : absl::AbortedError("the lease is lost");
  });
  EXPECT_TRUE(absl::IsAborted(end.status())) << end.status();
}

TEST(ProgramTest, OneThatIsNotThereIsNamed) {
  EXPECT_THAT(ProgramBeside("no-such-program").status().message(), HasSubstr("no-such-program"));
  EXPECT_TRUE(absl::IsFailedPrecondition(ProgramBeside("no-such-program").status()));
  const auto end = RunProgram({"/no/such/program"}, {}, Continue);
  EXPECT_THAT(end.status().message(), HasSubstr("/no/such/program"));
}

}  // namespace
}  // namespace fairlead
