#include "scheduler/api/account_service.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "scheduler/api/call.h"
#include "scheduler/api/convert.h"
#include "scheduler/api/names.h"

namespace fairlead::api {
namespace {

constexpr char kService[] = "/fairlead.v1.AccountService/";
// Scores are shown for an offer window of a minute, whatever a project's own is.
constexpr double kShownWindowSeconds = 60;

// The same person has the same pseudonym within one decision, another in the next.
std::string Pseudonym(absl::string_view decision, absl::string_view contractor) {
  return absl::StrCat("candidate-",
                      Sha256Hex(absl::StrCat(decision, "/", contractor)).substr(0, 8));
}

}  // namespace

std::vector<v1::Scorecard> ScorecardsOf(const Parts& parts, absl::string_view contractor) {
  std::vector<v1::Scorecard> cards;
  for (const auto& [kind, score] : parts.scores->Scores(contractor)) {
    cards.push_back(
        quality::ToScorecard(static_cast<v1::TaskKind>(kind), score, kShownWindowSeconds));
  }
  return cards;
}

std::vector<v1::Qualification> QualificationsOf(const Parts& parts, absl::string_view contractor) {
  std::vector<v1::Qualification> qualifications;
  for (const quality::TestStanding& standing : parts.qualifications->Of(contractor)) {
    qualifications.push_back(ToQualification(standing));
  }
  return qualifications;
}

absl::Status AccountServiceImpl::Explain(const Principal& principal,
                                         const v1::ExplainDecisionRequest& request,
                                         v1::Decision& response) {
  ASSIGN_OR_RETURN(AssignmentName name, ParseAssignment("name", request.name()));
  ASSIGN_OR_RETURN(v1::Decision decision, parts_.index->DecisionOf(name.assignment));
  RETURN_IF_ERROR(CheckContractor(principal, decision.contractor()));
  const std::string own = decision.contractor();
  for (v1::Decision::Candidate& candidate : *decision.mutable_candidates()) {
    if (!principal.platform() && candidate.contractor() != own) {
      candidate.set_contractor(Pseudonym(name.assignment, candidate.contractor()));
    }
  }
  decision.set_name(request.name());
  decision.set_task(TaskNameOf(name.task.project.key(), decision.task()));
  response = std::move(decision);
  return absl::OkStatus();
}

grpc::Status AccountServiceImpl::GetScorecards(grpc::ServerContext* context,
                                               const v1::GetScorecardsRequest* request,
                                               v1::GetScorecardsResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "GetScorecards"),
               [&](const Principal& principal) -> absl::Status {
                 ASSIGN_OR_RETURN(std::string contractor,
                                  ParseContractor("contractor", request->contractor()));
                 RETURN_IF_ERROR(CheckContractor(principal, contractor));
                 ASSIGN_OR_RETURN(store::PayDelta balance, parts_.homes->Balance(contractor));
                 for (v1::Scorecard& card : ScorecardsOf(parts_, contractor)) {
                   *response->add_scorecards() = std::move(card);
                 }
                 for (v1::Qualification& one : QualificationsOf(parts_, contractor)) {
                   *response->add_qualifications() = std::move(one);
                 }
                 response->set_balance_micros(balance.micros);
                 response->set_annotations(balance.annotations);
                 return absl::OkStatus();
               });
}

grpc::Status AccountServiceImpl::ListPayEntries(grpc::ServerContext* context,
                                                const v1::ListPayEntriesRequest* request,
                                                v1::ListPayEntriesResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "ListPayEntries"),
               [&](const Principal& principal) -> absl::Status {
                 ASSIGN_OR_RETURN(std::string contractor,
                                  ParseContractor("contractor", request->contractor()));
                 RETURN_IF_ERROR(CheckContractor(principal, contractor));
                 ASSIGN_OR_RETURN(size_t size, PageSize(request->page_size()));
                 // The token is the number of entries since the first: it stays true while new
                 // ones come.
                 const size_t all = parts_.index->AnnotationCount(contractor);
                 size_t skip = 0;
                 if (!request->page_token().empty()) {
                   uint64_t left = 0;
                   if (!absl::SimpleAtoi(request->page_token(), &left) || left > all) {
                     return FieldError("page_token", "must be one from an earlier response");
                   }
                   skip = all - left;
                 }
                 ASSIGN_OR_RETURN(auto records, parts_.index->Annotations(contractor, skip, size));
                 for (const auto& record : records) *response->add_entries() = ToPayEntry(record);
                 if (skip + records.size() < all) {
                   response->set_next_page_token(absl::StrCat(all - skip - records.size()));
                 }
                 return absl::OkStatus();
               });
}

grpc::Status AccountServiceImpl::ExplainDecision(grpc::ServerContext* context,
                                                 const v1::ExplainDecisionRequest* request,
                                                 v1::Decision* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "ExplainDecision"),
               [&](const Principal& principal) { return Explain(principal, *request, *response); });
}

}  // namespace fairlead::api
