// fairlead dead: what failed for good, and another chance for it.
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
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

// Which dead jobs are meant.
struct JobFilter {
  std::string match;  // Part of the id, the flow or the error.
  std::string kind;
};

absl::StatusOr<std::vector<v1::SearchDeadJobsResponse::DeadJob>> Matching(const Client& client,
                                                                          const JobFilter& filter) {
  std::vector<v1::SearchDeadJobsResponse::DeadJob> all;
  v1::SearchDeadJobsRequest request;
  request.set_page_size(1000);
  request.set_text(filter.match);
  request.set_kind(filter.kind);
  do {
    ASSIGN_OR_RETURN(const v1::SearchDeadJobsResponse page,
                     client.Call(client.jobs(), &v1::JobService::Stub::SearchDeadJobs, request));
    all.insert(all.end(), page.jobs().begin(), page.jobs().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

absl::Status SearchDead(const GlobalOptions& globals, const JobFilter& filter) {
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kOperator));
  ASSIGN_OR_RETURN(const auto jobs, Matching(*client, filter));
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "KIND", "FLOW", "FAILED", "LOST", "SINCE", "REASON"}};
  for (const auto& job : jobs) {
    if (globals.json) PrintJson(job);
    rows.push_back({job.name(), job.kind(), job.flow(), absl::StrCat(job.attempts()),
                    absl::StrCat(job.crashes()), FormatTime(job.dead_time()), job.reason()});
  }
  if (!globals.json) std::cout << FormatTable(rows);
  return absl::OkStatus();
}

// Calls `method` for the jobs in batches; `changed` reads how many an answer says.
template <typename Request, typename Response>
absl::StatusOr<int> InBatches(const Client& client, const std::vector<std::string>& names,
                              grpc::Status (v1::JobService::Stub::*method)(grpc::ClientContext*,
                                                                           const Request&,
                                                                           Response*),
                              int32_t (Response::*changed)() const) {
  constexpr size_t kBatch = 100;
  int total = 0;
  for (size_t begin = 0; begin < names.size(); begin += kBatch) {
    Request request;
    for (size_t i = begin; i < std::min(begin + kBatch, names.size()); ++i) {
      request.add_names(names[i]);
    }
    ASSIGN_OR_RETURN(const Response response, client.Call(client.jobs(), method, request));
    total += (response.*changed)();
    if (names.size() > kBatch) {
      std::cerr << "  " << std::min(begin + kBatch, names.size()) << " of " << names.size() << "\n";
    }
  }
  return total;
}

absl::StatusOr<std::vector<std::string>> NamesOf(const Client& client, const std::string& name,
                                                 const JobFilter& filter) {
  if (!name.empty()) return std::vector<std::string>{name};
  ASSIGN_OR_RETURN(const auto jobs, Matching(client, filter));
  std::vector<std::string> names;
  for (const auto& job : jobs) names.push_back(job.name());
  return names;
}

absl::Status PurgeDead(const GlobalOptions& globals, const std::string& name,
                       const JobFilter& filter) {
  if (name.empty() == (filter.match.empty() && filter.kind.empty())) {
    return FieldError("name", "give one jobs/JOB, or --match and --kind");
  }
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kOperator));
  ASSIGN_OR_RETURN(const auto names, NamesOf(*client, name, filter));
  ASSIGN_OR_RETURN(const int purged, InBatches(*client, names, &v1::JobService::Stub::PurgeDeadJobs,
                                               &v1::PurgeDeadJobsResponse::purged));
  std::cout << "purged " << purged << "\n";
  return absl::OkStatus();
}

absl::Status ReplayMatching(const GlobalOptions& globals, const JobFilter& filter) {
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kOperator));
  ASSIGN_OR_RETURN(const auto names, NamesOf(*client, "", filter));
  ASSIGN_OR_RETURN(const int replayed,
                   InBatches(*client, names, &v1::JobService::Stub::ReplayDeadJobs,
                             &v1::ReplayDeadJobsResponse::replayed));
  std::cout << "replayed " << replayed << "\n";
  return absl::OkStatus();
}

absl::Status ReplayDead(const GlobalOptions& globals, const std::string& name, bool all,
                        const JobFilter& filter) {
  const bool some = !filter.match.empty() || !filter.kind.empty();
  if ((name.empty() ? 0 : 1) + (all ? 1 : 0) + (some ? 1 : 0) != 1) {
    return FieldError("name", "give one name, or --all, or --match and --kind");
  }
  if (some) return ReplayMatching(globals, filter);
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
  auto filter = std::make_shared<JobFilter>();
  const auto add_filter = [filter](CLI::App* command) {
    command->add_option("--match", filter->match, "Jobs whose id, flow or error contains this");
    command->add_option("--kind", filter->kind, "Jobs of this kind, e.g. train-ocr");
  };
  CLI::App* dead = line.Add(nullptr, "dead", "Dead letters: list, search, replay, purge",
                            "fairlead dead search --match 'out of memory'");
  dead->require_subcommand(1);
  line.Add(dead, "list", "Tasks and jobs that failed for good", "fairlead dead list --json",
           [&globals] { return Finish(ListDead(globals)); });
  CLI::App* replay = line.Add(
      dead, "replay", "Ready again, with fresh attempts", "fairlead dead replay --all",
      [&globals, name, all, filter] { return Finish(ReplayDead(globals, *name, *all, *filter)); });
  replay->add_option("name", *name, "A task's full name or jobs/JOB");
  replay->add_flag("--all", *all, "Every dead letter");
  add_filter(replay);
  add_filter(line.Add(dead, "search", "Dead jobs that match",
                      "fairlead dead search --match 'out of memory' --kind train-ocr --json",
                      [&globals, filter] { return Finish(SearchDead(globals, *filter)); }));
  CLI::App* purge = line.Add(
      dead, "purge", "Forget dead jobs for good", "fairlead dead purge --match 'out of memory'",
      [&globals, name, filter] { return Finish(PurgeDead(globals, *name, *filter)); });
  purge->add_option("name", *name, "jobs/JOB");
  add_filter(purge);
}

}  // namespace fairlead::cli
