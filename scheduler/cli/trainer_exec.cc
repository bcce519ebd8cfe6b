// fairlead train | predict | check | score | evaluate: the sibling fairlead-trainer with the same
// arguments. The tool itself stays free of libtorch.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/file.h"

namespace fairlead::cli {
namespace {

int ExecTrainer(const std::string& command, const std::vector<std::string>& arguments) {
  const absl::StatusOr<std::string> directory = OwnBinaryDirectory();
  if (!directory.ok()) return Finish(directory.status());
  const std::string binary = *directory + "/fairlead-trainer";
  if (access(binary.c_str(), X_OK) != 0) {
    return Finish(absl::FailedPreconditionError(
        absl::StrCat(binary,
                     " is not built: it needs libtorch; configure with "
                     "FAIRLEAD_BUILD_TRAINER=ON (./dev build) or install fairlead-trainer "
                     "beside this binary")));
  }
  std::vector<std::string> owned = {binary, command};
  owned.insert(owned.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& argument : owned) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execv(binary.c_str(), argv.data());
  return Finish(absl::InternalError(absl::StrCat("cannot run ", binary, ": ", strerror(errno))));
}

}  // namespace

void AddTrainerCommands(CommandLine& line) {
  const std::pair<const char*, const char*> commands[] = {
      {"train", "Train a model from a folder (runs fairlead-trainer)"},
      {"predict", "Read images with a model (runs fairlead-trainer)"},
      {"score", "Score responses or pairs with a reward model (runs fairlead-trainer)"},
      {"check", "Find labels that are wrong (runs fairlead-trainer)"},
      {"evaluate", "Measure a model on a set (runs fairlead-trainer)"}};
  for (const auto& [name, description] : commands) {
    CLI::App* command =
        line.Add(nullptr, name, description, absl::StrCat("fairlead ", name, " --help"));
    // Everything behind the word is the trainer's to understand, --help included.
    command->set_help_flag();
    command->prefix_command();
    command->fallthrough(false);
    line.runners.emplace_back(command, [command, word = std::string(name)] {
      return ExecTrainer(word, command->remaining());
    });
  }
}

}  // namespace fairlead::cli
