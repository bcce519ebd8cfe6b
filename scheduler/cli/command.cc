#include "scheduler/cli/command.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace fairlead::cli {

CLI::App* CommandLine::Add(CLI::App* parent, const std::string& name,
                           const std::string& description, const std::string& example) {
  CLI::App* command = (parent == nullptr ? &app : parent)->add_subcommand(name, description);
  command->footer(absl::StrCat("Example:\n  ", example));
  command->fallthrough();
  return command;
}

CLI::App* CommandLine::Add(CLI::App* parent, const std::string& name,
                           const std::string& description, const std::string& example,
                           std::function<int()> run) {
  CLI::App* command = Add(parent, name, description, example);
  runners.emplace_back(command, std::move(run));
  return command;
}

void DeclareCommandLine(CommandLine& line) {
  line.app.name("fairlead");
  line.app.require_subcommand(1);
  line.app.option_defaults()->always_capture_default();
  line.app.footer(
      "Exit codes: 0 done, 1 failed, 2 usage, 3 some input was set aside, 4 server unavailable.\n"
      "Example:\n  fairlead up            # in one terminal\n"
      "  fairlead submit ocr --project prices --create --images images.tar   # in another");
  line.app.add_option("--address", line.globals.address,
                      "Server, unix:PATH or HOST:PORT (default: from the credentials file)");
  line.app.add_option("--token-file", line.globals.token_file, "File with one bearer secret");
  line.app.add_option("--credentials", line.globals.credentials, "File written by `fairlead up`");
  line.app.add_option("--tenant", line.globals.tenant,
                      "Tenant id (default: from the credentials file)");
  line.app.add_flag("--json", line.globals.json, "Machine-readable output");
  AddUpCommand(line);
  AddDemoCommand(line);
  AddAggregateCommand(line);
  AddProjectCommands(line);
  AddSubmitCommands(line);
  AddResultsCommand(line);
  AddStatusCommand(line);
  AddQueuesCommand(line);
  AddExplainCommand(line);
  AddTaskCommands(line);
  AddModelsCommands(line);
  AddDeadCommands(line);
  AddContractorsCommand(line);
  AddTokenCommands(line);
  AddSimulateCommand(line);
  AddReplayCommand(line);
  AddGenerateCommands(line);
  AddTrainerCommands(line);
  AddDoctorCommand(line);
}

int RunCommandLine(int argc, char** argv) {
  CommandLine line;
  DeclareCommandLine(line);
  try {
    line.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = line.app.exit(error, std::cout, std::cerr);
    return code == 0 ? kExitOk : kExitUsage;
  }
  for (const auto& [command, run] : line.runners) {
    if (command->parsed()) return run();
  }
  std::cerr << line.app.help();
  return kExitUsage;
}

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return kExitUnavailable;
    default:
      return kExitFailure;
  }
}

int Finish(const absl::Status& status) {
  if (status.ok()) return kExitOk;
  const std::string reason = ReasonOf(status);
  std::cerr << "error: " << absl::StatusCodeToString(status.code())
            << (reason.empty() ? "" : absl::StrCat(" ", reason)) << ": " << status.message()
            << "\n";
  return ExitCodeOf(status);
}

}  // namespace fairlead::cli
