#include "scheduler/api/contractor_actions.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "scheduler/api/convert.h"
#include "scheduler/api/names.h"
#include "scheduler/learn/prelabel_use.h"
#include "scheduler/quality/review.h"

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

// The attempt that the holder of this place reviews; nullptr: he is to answer himself.
const v1::Answer* AttemptFor(const store::v1::ProjectRecord& project, const store::TaskState& task,
                             const store::v1::Placement& place) {
  if (!project.settings().review() || task.record.has_gold()) return nullptr;
  return quality::AttemptToReview(task.annotations, place.offered_ms());
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
  ASSIGN_OR_RETURN(const store::SharedProjectRecord project,
                   parts_.registry->SharedProject(project_key));
  absl::StatusOr<store::Accepted> accepted =
      parts_.tasks->Accept(name.task.ref(), principal.contractor, request.token());
  if (!accepted.ok()) return Refusal(accepted.status(), principal, name, request.token());
  v1::Assignment assignment;
  assignment.set_name(request.assignment());
  assignment.set_token(request.token());
  *assignment.mutable_payload() = std::move(*accepted->record.mutable_payload());
  *assignment.mutable_answer_schema() = project->settings().answer_schema();
  assignment.set_guidelines_version(project->settings().guidelines_version());
  *assignment.mutable_submit_before() = ToTimestamp(accepted->deadline_ms);
  if (accepted->has_prelabel && learn::ShownOf(name.task.task, project->settings().model_loop()) ==
                                    store::v1::AnnotationRecord::SHOWN) {
    *assignment.mutable_prelabel() = ToPrelabel(accepted->prelabel);
  }
  if (project->settings().review()) {
    ASSIGN_OR_RETURN(const store::TaskState task, parts_.archive->Load(name.task.ref()));
    for (const store::v1::Placement& place : task.places) {
      if (place.contractor() != principal.contractor) continue;
      const v1::Answer* attempt = AttemptFor(*project, task, place);
      if (attempt != nullptr) *assignment.mutable_attempt() = *attempt;
    }
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

absl::StatusOr<ContractorActions::HeldWork> ContractorActions::WorkOf(
    const Principal& principal, const AssignmentName& name,
    const store::v1::ProjectRecord& project) const {
  // The view knows all but the responses of a ranking and attempts, unless the task has ended.
  if (project.settings().answer_schema().kind() != v1::TASK_KIND_RANKING &&
      !project.settings().review()) {
    const auto held = parts_.view->PlaceOf(name.task.task, principal.contractor);
    if (held.has_value() && held->place.assignment() == name.assignment &&
        held->project == name.task.project.key()) {
      return HeldWork{held->place.offered_ms(), held->has_prelabel, {}};
    }
  }
  ASSIGN_OR_RETURN(const store::TaskState task, parts_.archive->Load(name.task.ref()));
  for (const store::v1::Placement& place : task.places) {
    if (place.contractor() != principal.contractor || place.assignment() != name.assignment) {
      continue;
    }
    return HeldWork{place.offered_ms(),
                    task.has_prelabel,
                    {task.record.payload().ranking().responses_size(),
                     AttemptFor(project, task, place) != nullptr}};
  }
  // One that never was looks like a lost one.
  return Error(absl::StatusCode::kAborted, "LEASE_LOST",
               absl::StrCat("no place on task ", name.task.task, " is yours"));
}

absl::StatusOr<Answered> ContractorActions::Submit(const Principal& principal,
                                                   const v1::SubmitAnnotationRequest& request) {
  ASSIGN_OR_RETURN(AssignmentName name, ParseAssignment("assignment", request.assignment()));
  const std::string project_key = name.task.project.key();
  ASSIGN_OR_RETURN(const store::SharedProjectRecord project,
                   parts_.registry->SharedProject(project_key));
  ASSIGN_OR_RETURN(const HeldWork work, WorkOf(principal, name, *project));
  RETURN_IF_ERROR(
      ValidateAnswer("answer", project->settings().answer_schema(), request.answer(), work.terms));
  const v1::PayRate& rate = RateAt(*project, work.offered_ms);
  store::v1::AnnotationRecord record;
  record.set_assignment(name.assignment);
  record.set_task(name.task.task);
  record.set_contractor(principal.contractor);
  *record.mutable_answer() = request.answer();
  record.set_active_ms(std::max<int64_t>(0, ToMillis(request.active_time())));
  record.set_token(request.token());
  if (work.has_prelabel) {
    record.set_prelabel(learn::ShownOf(name.task.task, project->settings().model_loop()));
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
    return Answered{ToReceipt(project_key, record), {}};
  }
  return Answered{ToReceipt(project_key, annotated->record),
                  {parts_.tasks->topology().ShardOf(project_key), annotated->seq, life}};
}

absl::StatusOr<v1::ExtendAssignmentResponse> ContractorActions::Extend(
    const Principal& principal, const v1::ExtendAssignmentRequest& request) {
  ASSIGN_OR_RETURN(AssignmentName name, ParseAssignment("assignment", request.assignment()));
  const absl::StatusOr<store::Extended> extended =
      parts_.tasks->Extend(name.task.ref(), principal.contractor, request.token());
  if (!extended.ok()) return Refusal(extended.status(), principal, name, request.token());
  v1::ExtendAssignmentResponse response;
  response.set_assignment(request.assignment());
  *response.mutable_submit_before() = ToTimestamp(extended->deadline_ms);
  return response;
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

absl::StatusOr<store::PendingChange> ContractorActions::Report(
    const Principal& principal, const v1::ReportTaskRequest& request) {
  ASSIGN_OR_RETURN(AssignmentName name, ParseAssignment("assignment", request.assignment()));
  if (request.reason().empty() || request.reason().size() > 1024) {
    return FieldError("reason", "must be 1 to 1,024 bytes");
  }
  const uint64_t life = parts_.follower->Life();
  absl::StatusOr<uint64_t> seq =
      parts_.tasks->Release(name.task.ref(), principal.contractor, request.token(),
                            store::v1::Placement::REPORTED, request.reason());
  if (!seq.ok()) return Refusal(seq.status(), principal, name, request.token());
  return store::PendingChange{parts_.tasks->topology().ShardOf(name.task.project.key()), *seq,
                              life};
}

std::vector<v1::Offer> ContractorActions::Offers(const Principal& principal) const {
  std::vector<v1::Offer> offers;
  for (const dispatch::HeldPlace& held : parts_.view->PlacesOf(principal.contractor)) {
    const absl::StatusOr<store::SharedProjectRecord> project =
        parts_.registry->SharedProject(held.project);
    if (project.ok()) offers.push_back(ToOffer(**project, held.task, held.place));
  }
  return offers;
}

}  // namespace fairlead::api
