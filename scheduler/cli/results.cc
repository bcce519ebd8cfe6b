// fairlead results: labels as they complete; resumable by cursor.
#include <grpcpp/grpcpp.h>

#include <fstream>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/print.h"

namespace fairlead::cli {
namespace {

struct ResultsFlags {
  std::string project;
  std::string cursor;
  std::string out;
  bool follow = false;
  bool gold = false;
};

// Tabs and line ends inside an answer would break the table.
std::string OneCell(std::string text) {
  for (char& c : text) {
    if (c == '\t' || c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

std::string FormatResult(const v1::StreamResultsResponse& result, bool json) {
  if (json) return ToJson(result) + "\n";
  const v1::Label& label = result.label();
  return absl::StrFormat("%s\t%s\t%s\t%s\t%.4f\t%d\n", LastPart(result.task()),
                         OneCell(label.external_id()), v1::Task::State_Name(result.state()),
                         OneCell(FormatAnswer(label.answer())), label.confidence(),
                         label.answers());
}

absl::Status StreamTo(std::ostream& out, const GlobalOptions& globals, ResultsFlags& flags,
                      int64_t& count) {
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kClient));
  v1::StreamResultsRequest request;
  request.set_project(client->ProjectName(flags.project));
  request.set_until_idle(!flags.follow);
  request.set_include_gold(flags.gold);
  Backoff backoff;
  absl::Time give_up = absl::Now() + absl::Seconds(10);
  while (true) {
    request.set_cursor(flags.cursor);
    grpc::ClientContext context;
    client->PrepareStream(&context);
    const auto reader = client->tasks()->StreamResults(&context, request);
    v1::StreamResultsResponse result;
    while (reader->Read(&result)) {
      out << FormatResult(result, globals.json) << std::flush;
      if (!out) return absl::DataLossError("cannot write the results");
      flags.cursor = result.cursor();
      ++count;
      backoff.Reset();
      give_up = absl::Now() + absl::Minutes(5);
    }
    const absl::Status status = rpc::FromGrpcStatus(reader->Finish());
    // A break is resumed behind the last line that was written: nothing twice, nothing left out.
    if (!absl::IsUnavailable(status) || absl::Now() > give_up) return status;
    absl::SleepFor(backoff.Next());
  }
}

int RunResults(const GlobalOptions& globals, ResultsFlags flags) {
  std::ofstream file;
  if (!flags.out.empty()) {
    file.open(flags.out, std::ios::app);
    if (!file) {
      return Finish(absl::PermissionDeniedError(absl::StrCat("cannot write ", flags.out)));
    }
  }
  std::ostream& out = flags.out.empty() ? std::cout : file;
  if (!globals.json && flags.cursor.empty()) {
    out << "# task\texternal_id\tstate\tanswer\tconfidence\tanswers\n";
  }
  int64_t count = 0;
  const absl::Status status = StreamTo(out, globals, flags, count);
  std::cerr << count << " results";
  if (!flags.cursor.empty()) std::cerr << ", continue with --cursor " << flags.cursor;
  std::cerr << "\n";
  return Finish(status);
}

}  // namespace

void AddResultsCommand(CommandLine& line) {
  auto flags = std::make_shared<ResultsFlags>();
  GlobalOptions& globals = line.globals;
  CLI::App* command = line.Add(nullptr, "results", "Stream the labels of a project",
                               "fairlead results --project prices --follow --out labels.tsv",
                               [&globals, flags] { return RunResults(globals, *flags); });
  command->add_option("--project", flags->project, "Project id or full name")->required();
  command->add_option("--cursor", flags->cursor, "Continue behind this one");
  command->add_option("--out", flags->out, "Append to a file instead of standard output");
  command->add_flag("--follow", flags->follow, "Stay, and print labels as they complete");
  command->add_flag("--gold", flags->gold, "Gold tasks too");
}

}  // namespace fairlead::cli
