#include "scheduler/cli/command.h"

#include <functional>
#include <vector>

#include "common/base/status.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"
#include "scheduler/cli/client.h"

namespace fairlead::cli {
namespace {

using ::testing::HasSubstr;

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

Outcome RunTool(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "fairlead");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.code = RunCommandLine(static_cast<int>(argv.size()), argv.data());
  outcome.out = ::testing::internal::GetCapturedStdout();
  outcome.err = ::testing::internal::GetCapturedStderr();
  return outcome;
}

TEST(CommandTest, UsageErrorsAreExitCodeTwo) {
  EXPECT_EQ(RunTool({}).code, kExitUsage);
  EXPECT_EQ(RunTool({"no-such-command"}).code, kExitUsage);
  EXPECT_EQ(RunTool({"submit"}).code, kExitUsage);
  EXPECT_EQ(RunTool({"submit", "ocr", "--project", "p"}).code, kExitUsage);
  EXPECT_EQ(RunTool({"models"}).code, kExitUsage);
  EXPECT_EQ(RunTool({"up", "--workers", "many"}).code, kExitUsage);
  EXPECT_THAT(RunTool({"explain"}).err, HasSubstr("task"));
}

TEST(CommandTest, HelpIsExitCodeZeroAndTellsExitCodes) {
  const Outcome help = RunTool({"--help"});
  EXPECT_EQ(help.code, kExitOk);
  EXPECT_THAT(help.out, HasSubstr("Exit codes: 0 done, 1 failed, 2 usage, 3"));
}

// Every command and sub-command, however deep.
void ForEachCommand(CLI::App* app, const std::function<void(CLI::App*)>& visit) {
  for (CLI::App* command : app->get_subcommands(nullptr)) {
    visit(command);
    ForEachCommand(command, visit);
  }
}

TEST(CommandTest, EveryCommandHasADescriptionAndAnExampleOfItself) {
  CommandLine line;
  DeclareCommandLine(line);
  int count = 0;
  ForEachCommand(&line.app, [&count](CLI::App* command) {
    ++count;
    EXPECT_FALSE(command->get_description().empty()) << command->get_name();
    EXPECT_THAT(command->get_footer(), HasSubstr("Example:\n  fairlead ")) << command->get_name();
    EXPECT_THAT(command->get_footer(), HasSubstr(command->get_name()));
    EXPECT_THAT(command->help(), HasSubstr("Example:"));
  });
  EXPECT_GE(count, 30);
}

TEST(CommandTest, EveryLeafHasSomethingToRun) {
  CommandLine line;
  DeclareCommandLine(line);
  ForEachCommand(&line.app, [&line](CLI::App* command) {
    if (!command->get_subcommands(nullptr).empty()) return;
    bool runs = false;
    for (const auto& [app, run] : line.runners) runs |= app == command;
    EXPECT_TRUE(runs) << command->get_name();
  });
}

TEST(CommandTest, AnUnreachableServerIsExitCodeFour) {
  const std::string token = ::testing::TempDir() + "/token";
  ASSERT_EQ(RunTool({"generate", "pairs", "--n", "1", "--out", token}).code, kExitOk);
  const Outcome outcome = RunTool({"--address", "unix:/nonexistent/socket", "--token-file", token,
                                   "--tenant", "dev", "status"});
  EXPECT_EQ(outcome.code, kExitUnavailable);
  EXPECT_THAT(outcome.err, HasSubstr("error: UNAVAILABLE"));
}

TEST(CommandTest, MissingCredentialsSayWhatToDo) {
  const Outcome outcome = RunTool({"--credentials", "/nonexistent/credentials.json", "status"});
  EXPECT_EQ(outcome.code, kExitFailure);
  EXPECT_THAT(outcome.err, HasSubstr("fairlead up"));
}

TEST(CommandTest, ABadLabelsFileIsNamedBeforeAnythingIsSent) {
  const std::string labels = ::testing::TempDir() + "/labels.tsv";
  FILE* const file = fopen(labels.c_str(), "w");
  fputs("a.png\t1\nb.png\n", file);
  fclose(file);
  const Outcome outcome =
      RunTool({"submit", "ocr", "--project", "p", "--images", "/nonexistent", "--labels", labels});
  EXPECT_EQ(outcome.code, kExitFailure);
  EXPECT_THAT(outcome.err, HasSubstr(labels + ":2: a column is missing"));
}

TEST(ClientTest, AServersRefusalKeepsCodeReasonAndField) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  info.set_reason("LEASE_LOST");
  details.add_details()->PackFrom(info);
  const absl::Status lost = rpc::FromGrpcStatus(
      grpc::Status(grpc::StatusCode::ABORTED, "token is stale", details.SerializeAsString()));
  EXPECT_EQ(lost.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonOf(lost), "LEASE_LOST");
  EXPECT_EQ(lost.message(), "token is stale");

  details.Clear();
  google::rpc::BadRequest bad;
  bad.add_field_violations()->set_field("tasks[17].payload");
  details.add_details()->PackFrom(bad);
  const absl::Status field = rpc::FromGrpcStatus(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                                                              "tasks[17].payload: wrong kind",
                                                              details.SerializeAsString()));
  EXPECT_EQ(FieldOf(field), "tasks[17].payload");
  EXPECT_EQ(field.message(), "tasks[17].payload: wrong kind");
}

TEST(ClientTest, BackoffStaysUnderItsDoublingCap) {
  Backoff backoff(absl::Milliseconds(100), absl::Seconds(1));
  for (int i = 0; i < 40; ++i) {
    const absl::Duration wait = backoff.Next();
    EXPECT_GT(wait, absl::ZeroDuration());
    EXPECT_LE(wait, std::min(absl::Seconds(1), absl::Milliseconds(100) * (1 << std::min(i, 10))));
  }
}

}  // namespace
}  // namespace fairlead::cli
