// fairlead dead: what failed for good, and another chance for it.
#include <iostream>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/print.h"

namespace fairlead::cli {
namespace {

absl::StatusOr<std::vector<v1::ListDeadLettersResponse::DeadLetter>> AllDead(const Client& client) {
  std::vector<v1::ListDeadLettersResponse::DeadLetter> all;
  v1::ListDeadLettersRequest request;
  request.set_page_size(1000);
  do {
    ASSIGN_OR_RETURN(
        const v1::ListDeadLettersResponse page,
        client.Call(client.admin(), &v1::AdminService::Stub::ListDeadLetters, request));
    all.insert(all.end(), page.dead_letters().begin(), page.dead_letters().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

absl::Status ListDead(const GlobalOptions& globals) {
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kOperator));
  ASSIGN_OR_RETURN(const auto letters, AllDead(*client));
  std::vector<std::vector<std::string>> rows = {{"NAME", "ATTEMPTS", "SINCE", "REASON"}};
  for (const auto& letter : letters) {
    if (globals.json) PrintJson(letter);
    rows.push_back({letter.name(), absl::StrCat(letter.attempts()), FormatTime(letter.dead_time()),
                    letter.reason()});
  }
  if (!globals.json) std::cout << FormatTable(rows);
  return absl::OkStatus();
}

absl::Status ReplayDead(const GlobalOptions& globals, const std::string& name, bool all) {
  if (name.empty() != all) return FieldError("name", "give one name, or --all");
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kOperator));
  std::vector<std::string> names = {name};
  if (all) {
    ASSIGN_OR_RETURN(const auto letters, AllDead(*client));
    names.clear();
    for (const auto& letter : letters) names.push_back(letter.name());
  }
  for (const std::string& each : names) {
    v1::ReplayDeadLetterRequest request;
    request.set_name(each);
    RETURN_IF_ERROR(
        client->Call(client->admin(), &v1::AdminService::Stub::ReplayDeadLetter, request).status());
  }
  std::cout << "replayed " << names.size() << "\n";
  return absl::OkStatus();
}

}  // namespace

void AddDeadCommands(CommandLine& line) {
  auto name = std::make_shared<std::string>();
  auto all = std::make_shared<bool>(false);
  GlobalOptions& globals = line.globals;
  CLI::App* dead = line.Add(nullptr, "dead", "Dead letters: list, replay", "fairlead dead list");
  dead->require_subcommand(1);
  line.Add(dead, "list", "Tasks and jobs that failed for good", "fairlead dead list --json",
           [&globals] { return Finish(ListDead(globals)); });
  CLI::App* replay =
      line.Add(dead, "replay", "Ready again, with fresh attempts", "fairlead dead replay --all",
               [&globals, name, all] { return Finish(ReplayDead(globals, *name, *all)); });
  replay->add_option("name", *name, "A task's full name or jobs/JOB");
  replay->add_flag("--all", *all, "Every dead letter");
}

}  // namespace fairlead::cli
