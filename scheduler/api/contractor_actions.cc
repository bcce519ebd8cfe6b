#include "scheduler/api/contractor_actions.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "scheduler/api/convert.h"
#include "scheduler/api/names.h"
#include "scheduler/api/validate.h"
#include "scheduler/learn/prelabel_use.h"

namespace fairlead::api {
namespace {

// What was promised with the offer is paid: the rate in force when it was made.
const v1::PayRate& RateAt(const store::v1::ProjectRecord& project, int64_t offered_ms) {
  const v1::PayRate* rate = &project.pay_rates(0);
  for (const v1::PayRate& candidate : project.pay_rates()) {
    if (ToMillis(candidate.effective_time()) <= offered_ms) rate = &candidate;
  }
  return *rate;
}

// The caller's place of a task; one that never was looks like a lost one.
absl::StatusOr<store::v1::Placement> PlaceOf(const store::TaskState& task,
                                             const Principal& principal,
                                             const AssignmentName& name) {
  for (const store::v1::Placement& place : task.places) {
    if (place.contractor() == principal.contractor && place.assignment() == name.assignment)
      return place;
  }
  return Error(absl::StatusCode::kAborted, "LEASE_LOST",
               absl::StrCat("no place on task ", name.task.task, " is yours"));
}

}  // namespace

absl::Status ContractorActions::Refusal(const absl::Status& status, const Principal& principal,
                                        const AssignmentName& name,
                                        const std::string& token) const {
  return parts_.archive->RefusalOf(status, name.task.ref(), principal.contractor, token);
}

absl::StatusOr<v1::Assignment> ContractorActions::Accept(const Principal& principal,
                                                         const v1::AcceptOfferRequest& request) {
  ASSIGN_OR_RETURN(AssignmentName name, ParseAssignment("assignment", request.assignment()));
  const std::string project_key = name.task.project.key();
  ASSIGN_OR_RETURN(store::v1::ProjectRecord project, parts_.registry->Project(project_key));
  absl::StatusOr<store::Accepted> accepted =
      parts_.tasks->Accept(name.task.ref(), principal.contractor, request.token());
  if (!accepted.ok()) return Refusal(accepted.status(), principal, name, request.token());
  ASSIGN_OR_RETURN(store::TaskState task, parts_.tasks->Load(name.task.ref()));
  v1::Assignment assignment;
  assignment.set_name(request.assignment());
  assignment.set_token(request.token());
  *assignment.mutable_payload() = task.record.payload();
  *assignment.mutable_answer_schema() = project.settings().answer_schema();
  assignment.set_guidelines_version(project.settings().guidelines_version());
  *assignment.mutable_submit_before() = ToTimestamp(accepted->deadline_ms);
  if (task.has_prelabel && learn::ShownOf(name.task.task, project.settings().model_loop()) ==
                               store::v1::AnnotationRecord::SHOWN) {
    *assignment.mutable_prelabel() = ToPrelabel(task.prelabel);
  }
  return assignment;
}

absl::Status ContractorActions::Decline(const Principal& principal,
                                        const v1::DeclineOfferRequest& request) {
  ASSIGN_OR_RETURN(AssignmentName name, ParseAssignment("assignment", request.assignment()));
  return Refusal(parts_.tasks
                     ->Release(name.task.ref(), principal.contractor, request.token(),
                               store::v1::Placement::DECLINED, "")
                     .status(),
                 principal, name, request.token());
}

absl::StatusOr<v1::Receipt> ContractorActions::Submit(const Principal& principal,
                                                      const v1::SubmitAnnotationRequest& request) {
  ASSIGN_OR_RETURN(AssignmentName name, ParseAssignment("assignment", request.assignment()));
  const std::string project_key = name.task.project.key();
  ASSIGN_OR_RETURN(store::v1::ProjectRecord project, parts_.registry->Project(project_key));
  ASSIGN_OR_RETURN(store::TaskState task, parts_.archive->Load(name.task.ref()));
  ASSIGN_OR_RETURN(store::v1::Placement place, PlaceOf(task, principal, name));
  RETURN_IF_ERROR(ValidateAnswer("answer", project.settings().answer_schema(), request.answer(),
                                 task.record.payload().ranking().responses_size()));
  const v1::PayRate& rate = RateAt(project, place.offered_ms());
  store::v1::AnnotationRecord record;
  record.set_assignment(name.assignment);
  record.set_task(name.task.task);
  record.set_contractor(principal.contractor);
  *record.mutable_answer() = request.answer();
  record.set_active_ms(std::max<int64_t>(0, ToMillis(request.active_time())));
  record.set_token(request.token());
  if (task.has_prelabel) {
    record.set_prelabel(learn::ShownOf(name.task.task, project.settings().model_loop()));
  }
  store::v1::PayRecord& pay = *record.mutable_pay();
  pay.set_contractor(principal.contractor);
  pay.set_project(project_key);
  pay.set_micros(rate.micros_per_annotation());
  pay.set_currency(rate.currency());
  pay.set_rate_version(rate.version());
  const uint64_t life = parts_.follower->Life();
  absl::StatusOr<store::Annotated> annotated =
      parts_.tasks->Annotate(name.task.ref(), principal.contractor, request.token(), record);
  if (!annotated.ok()) {
    // Repeated after the task left Redis: its first receipt stands in the log.
    ASSIGN_OR_RETURN(record,
                     parts_.archive->FirstAnnotation(annotated.status(), name.task.ref(),
                                                     principal.contractor, request.token()));
    return ToReceipt(project_key, record);
  }
  RETURN_IF_ERROR(AwaitTask(parts_, project_key, annotated->seq, life));
  return ToReceipt(project_key, annotated->record);
}

absl::Status ContractorActions::Return(const Principal& principal,
                                       const v1::ReturnAssignmentRequest& request) {
  ASSIGN_OR_RETURN(AssignmentName name, ParseAssignment("assignment", request.assignment()));
  return Refusal(parts_.tasks
                     ->Release(name.task.ref(), principal.contractor, request.token(),
                               store::v1::Placement::RETURNED, "")
                     .status(),
                 principal, name, request.token());
}

absl::Status ContractorActions::Report(const Principal& principal,
                                       const v1::ReportTaskRequest& request) {
  ASSIGN_OR_RETURN(AssignmentName name, ParseAssignment("assignment", request.assignment()));
  if (request.reason().empty() || request.reason().size() > 1024) {
    return FieldError("reason", "must be 1 to 1,024 bytes");
  }
  const uint64_t life = parts_.follower->Life();
  absl::StatusOr<uint64_t> seq =
      parts_.tasks->Release(name.task.ref(), principal.contractor, request.token(),
                            store::v1::Placement::REPORTED, request.reason());
  if (!seq.ok()) return Refusal(seq.status(), principal, name, request.token());
  return AwaitTask(parts_, name.task.project.key(), *seq, life);
}

std::vector<v1::Offer> ContractorActions::Offers(const Principal& principal) const {
  std::vector<v1::Offer> offers;
  for (const dispatch::HeldPlace& held : parts_.view->PlacesOf(principal.contractor)) {
    absl::StatusOr<store::v1::ProjectRecord> project = parts_.registry->Project(held.project);
    if (project.ok()) offers.push_back(ToOffer(*project, held.task, held.place));
  }
  return offers;
}

}  // namespace fairlead::api
