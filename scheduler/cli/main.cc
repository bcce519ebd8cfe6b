// fairlead: the one tool for clients, operators and people who try Fairlead out.
#include <csignal>

#include "common/base/log.h"
#include "scheduler/cli/command.h"

int main(int argc, char** argv) {
  // A reader that went away (`| head`) is a write error, not a death.
  std::signal(SIGPIPE, SIG_IGN);
  fairlead::SetLogProcessName("fairlead");
  return fairlead::cli::RunCommandLine(argc, argv);
}
