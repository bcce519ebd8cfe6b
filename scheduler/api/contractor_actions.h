// What a contractor does about one assignment (hops 7 and 8), the same for the stream and the unary
// calls. Contracts and errors: proto/fairlead/v1/contractor_service.proto. Thread-safe.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fairlead/v1/contractor_service.pb.h"
#include "scheduler/api/names.h"
#include "scheduler/api/parts.h"

namespace fairlead::api {

class ContractorActions {
 public:
  explicit ContractorActions(const Parts* parts) : parts_(*parts) {}

  absl::StatusOr<v1::Assignment> Accept(const Principal& principal,
                                        const v1::AcceptOfferRequest& request);
  absl::Status Decline(const Principal& principal, const v1::DeclineOfferRequest& request);
  absl::StatusOr<v1::Receipt> Submit(const Principal& principal,
                                     const v1::SubmitAnnotationRequest& request);
  absl::Status Return(const Principal& principal, const v1::ReturnAssignmentRequest& request);
  absl::Status Report(const Principal& principal, const v1::ReportTaskRequest& request);
  // Every live offer and assignment of the caller, as offers; accepting an accepted one again is
  // how work is resumed after a lost connection.
  std::vector<v1::Offer> Offers(const Principal& principal) const;

 private:
  // A refusal of the store, or of the log when the task has left the store.
  absl::Status Refusal(const absl::Status& status, const Principal& principal,
                       const AssignmentName& name, const std::string& token) const;

  const Parts& parts_;
};

}  // namespace fairlead::api
