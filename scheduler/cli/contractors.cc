// fairlead contractors: who takes part, how well, how fast, paid how much.
#include <iostream>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "google/protobuf/util/time_util.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/print.h"

namespace fairlead::cli {
namespace {

// How he stands with his tests, one a line.
std::string TestLines(const v1::ListContractorsResponse::Entry& entry) {
  std::string lines;
  for (const v1::Qualification& test : entry.qualifications()) {
    absl::StrAppend(&lines, entry.contractor(), "  ", test.skill(), "  ",
                    v1::Qualification::State_Name(test.state()), "  ", test.right(), " of ",
                    test.answered(), " right, ", test.questions(), " asked, take ", test.take());
    if (test.has_retake_time()) {
      absl::StrAppend(&lines, ", again from ",
                      google::protobuf::util::TimeUtil::ToString(test.retake_time()));
    }
    absl::StrAppend(&lines, "  ", test.project(), "\n");
  }
  return lines;
}

absl::Status RunContractors(const GlobalOptions& globals) {
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kOperator));
  v1::ListContractorsRequest request;
  request.set_page_size(1000);
  std::vector<std::vector<std::string>> rows = {{"CONTRACTOR", "ONLINE", "KIND", "QUALITY",
                                                 "90 % INTERVAL", "EVIDENCE", "PACE", "GOLD",
                                                 "ANSWERS", "BALANCE"}};
  std::string tests;
  do {
    ASSIGN_OR_RETURN(
        const v1::ListContractorsResponse page,
        client->Call(client->admin(), &v1::AdminService::Stub::ListContractors, request));
    for (const auto& entry : page.contractors()) {
      if (globals.json) PrintJson(entry);
      tests += TestLines(entry);
      const std::string balance = FormatMoney(entry.balance_micros(), "");
      std::vector<std::string> head = {entry.contractor(), entry.online() ? "yes" : "no"};
      if (entry.scorecards().empty()) {
        rows.push_back(
            {head[0], head[1], "", "", "", "", "", "", absl::StrCat(entry.annotations()), balance});
      }
      for (const v1::Scorecard& card : entry.scorecards()) {
        const double pace =
            static_cast<double>(
                google::protobuf::util::TimeUtil::DurationToMilliseconds(card.median_pace())) /
            1e3;
        rows.push_back({head[0], head[1], v1::TaskKind_Name(card.kind()),
                        absl::StrFormat("%.3f", card.quality_mean()),
                        absl::StrFormat("%.3f–%.3f", card.quality_low(), card.quality_high()),
                        absl::StrFormat("%.1f", card.evidence()), absl::StrFormat("%.2f s", pace),
                        absl::StrCat(card.gold_right(), "/", card.gold_seen()),
                        absl::StrCat(card.annotations()), balance});
      }
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (globals.json) return absl::OkStatus();
  std::cout << FormatTable(rows);
  if (!tests.empty()) std::cout << "\nTests of skills:\n" << tests;
  return absl::OkStatus();
}

}  // namespace

void AddContractorsCommand(CommandLine& line) {
  GlobalOptions& globals = line.globals;
  line.Add(nullptr, "contractors", "Contractors with their scorecards, tests and balances",
           "fairlead contractors --json", [&globals] { return Finish(RunContractors(globals)); });
}

}  // namespace fairlead::cli
