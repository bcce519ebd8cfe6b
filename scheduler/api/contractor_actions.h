// What a contractor does about one assignment (hops 7 and 8), the same for the stream and the unary
// calls. Contracts and errors: proto/fairlead/v1/contractor_service.proto. Thread-safe.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fairlead/v1/contractor_service.pb.h"
#include "scheduler/api/names.h"
#include "scheduler/api/parts.h"
#include "scheduler/api/validate.h"

namespace fairlead::api {

// An answer that was taken, and what must be durable before its receipt is given.
struct Answered {
  v1::Receipt receipt;
  store::PendingChange change;
};

class ContractorActions {
 public:
  explicit ContractorActions(const Parts* parts) : parts_(*parts) {}

  absl::StatusOr<v1::Assignment> Accept(const Principal& principal,
                                        const v1::AcceptOfferRequest& request);
  absl::Status Decline(const Principal& principal, const v1::DeclineOfferRequest& request);
  absl::StatusOr<Answered> Submit(const Principal& principal,
                                  const v1::SubmitAnnotationRequest& request);
  absl::StatusOr<v1::ExtendAssignmentResponse> Extend(const Principal& principal,
                                                      const v1::ExtendAssignmentRequest& request);
  absl::Status Return(const Principal& principal, const v1::ReturnAssignmentRequest& request);
  // What must be durable before the report is acknowledged.
  absl::StatusOr<store::PendingChange> Report(const Principal& principal,
                                              const v1::ReportTaskRequest& request);
  // Every live offer and assignment of the caller, as offers; accepting an accepted one again is
  // how work is resumed after a lost connection.
  std::vector<v1::Offer> Offers(const Principal& principal) const;

 private:
  // What an answer is checked and paid by.
  struct HeldWork {
    int64_t offered_ms = 0;
    bool has_prelabel = false;
    AnswerTerms terms;
  };
  // ABORTED / LEASE_LOST when no place of the task is the caller's.
  absl::StatusOr<HeldWork> WorkOf(const Principal& principal, const AssignmentName& name,
                                  const store::v1::ProjectRecord& project) const;
  // A refusal of the store, or of the log when the task has left the store.
  absl::Status Refusal(const absl::Status& status, const Principal& principal,
                       const AssignmentName& name, const std::string& token) const;

  const Parts& parts_;
};

}  // namespace fairlead::api
