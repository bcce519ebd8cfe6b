// AccountService: see proto/fairlead/v1/contractor_service.proto.
#pragma once

#include <vector>

#include "fairlead/v1/contractor_service.grpc.pb.h"
#include "scheduler/api/parts.h"

namespace fairlead::api {

// Thread-safe.
class AccountServiceImpl final : public v1::AccountService::Service {
 public:
  explicit AccountServiceImpl(const Parts* parts) : parts_(*parts) {}

  grpc::Status GetScorecards(grpc::ServerContext* context, const v1::GetScorecardsRequest* request,
                             v1::GetScorecardsResponse* response) override;
  grpc::Status ListPayEntries(grpc::ServerContext* context,
                              const v1::ListPayEntriesRequest* request,
                              v1::ListPayEntriesResponse* response) override;
  grpc::Status ExplainDecision(grpc::ServerContext* context,
                               const v1::ExplainDecisionRequest* request,
                               v1::Decision* response) override;

 private:
  absl::Status Explain(const Principal& principal, const v1::ExplainDecisionRequest& request,
                       v1::Decision& response);
  const Parts& parts_;
};

// A contractor's scores by kind and tests by project, as shown to itself and to operators.
std::vector<v1::Scorecard> ScorecardsOf(const Parts& parts, absl::string_view contractor);
std::vector<v1::Qualification> QualificationsOf(const Parts& parts, absl::string_view contractor);

}  // namespace fairlead::api
