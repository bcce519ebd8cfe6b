// What every command of the `fairlead` tool shares: the global options, the exit codes and the list
// of commands. One command is one file, with one Add…Command() below.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "absl/status/status.h"
#include "scheduler/cli/credentials.h"

namespace fairlead::cli {

// The tool's exit codes; in `fairlead --help` too.
enum ExitCode : int {
  kExitOk = 0,
  kExitFailure = 1,
  kExitUsage = 2,        // Arguments that cannot be understood.
  kExitPartial = 3,      // Some input was set aside; the rest went through.
  kExitUnavailable = 4,  // The server cannot be reached, or did not answer in time.
};

// The parser and what to run for each command it knows.
struct CommandLine {
  CLI::App app{"Fairlead: human judgement into better models."};
  GlobalOptions globals;
  // Called for the first parsed command; returns the exit code.
  std::vector<std::pair<CLI::App*, std::function<int()>>> runners;

  // Declares a command under `parent` (the root when null). `example` closes its --help.
  CLI::App* Add(CLI::App* parent, const std::string& name, const std::string& description,
                const std::string& example);
  // The same with what it runs.
  CLI::App* Add(CLI::App* parent, const std::string& name, const std::string& description,
                const std::string& example, std::function<int()> run);
};

// Declares the global options and every command.
void DeclareCommandLine(CommandLine& line);

// Parses and runs; returns the exit code. Never throws.
int RunCommandLine(int argc, char** argv);

// Prints a failure to stderr ("error: CODE REASON: message") and returns the exit code that fits.
// OK prints nothing and is kExitOk.
int Finish(const absl::Status& status);
ExitCode ExitCodeOf(const absl::Status& status);

void AddUpCommand(CommandLine& line);
void AddSubmitCommands(CommandLine& line);
void AddResultsCommand(CommandLine& line);
void AddStatusCommand(CommandLine& line);
void AddQueuesCommand(CommandLine& line);
void AddExplainCommand(CommandLine& line);
void AddTaskCommands(CommandLine& line);
void AddModelsCommands(CommandLine& line);
void AddDeadCommands(CommandLine& line);
void AddProjectCommands(CommandLine& line);
void AddContractorsCommand(CommandLine& line);
void AddTokenCommands(CommandLine& line);
void AddDoctorCommand(CommandLine& line);
void AddGenerateCommands(CommandLine& line);
void AddTrainerCommands(CommandLine& line);
void AddReplayCommand(CommandLine& line);
void AddSimulateCommand(CommandLine& line);
void AddDemoCommand(CommandLine& line);
void AddAggregateCommand(CommandLine& line);

}  // namespace fairlead::cli
