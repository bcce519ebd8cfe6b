#include "scheduler/api/contractor_service.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "scheduler/api/call.h"
#include "scheduler/api/convert.h"
#include "scheduler/api/validate.h"
#include "scheduler/api/work_stream.h"

namespace fairlead::api {
namespace {

constexpr char kService[] = "/fairlead.v1.ContractorService/";
constexpr absl::Duration kLookForCancel = absl::Milliseconds(200);

// What is offered to one contractor while this lives.
class OfferInbox {
 public:
  OfferInbox(WorkHub* hub, const std::string& contractor) : hub_(hub) {
    subscription_ = hub->Subscribe(contractor, [this](v1::WorkResponse response) {
      if (!response.has_offer()) return;
      MutexLock lock(&mu_);
      offers_.push_back(std::move(*response.mutable_offer()));
      came_.NotifyAll();
    });
  }
  ~OfferInbox() { hub_->Unsubscribe(subscription_); }

  // Waits for the first, or for `timeout`.
  std::vector<v1::Offer> Await(absl::Duration timeout) {
    MutexLock lock(&mu_);
    if (offers_.empty()) came_.WaitFor(&mu_, absl::ToChronoMilliseconds(timeout));
    return std::exchange(offers_, {});
  }

 private:
  WorkHub* const hub_;
  std::shared_ptr<WorkSubscription> subscription_;
  Mutex mu_;
  CondVar came_;
  std::vector<v1::Offer> offers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

absl::Status ContractorServiceImpl::EnrolContractor(const Principal& principal,
                                                    const v1::EnrolRequest& request,
                                                    v1::Contractor& response) {
  RETURN_IF_ERROR(ValidateContractor(request.contractor()));
  const auto known = parts_.registry->Contractor(principal.contractor);
  store::v1::ContractorRecord record;
  record.set_contractor(principal.contractor);
  record.set_display_name(request.contractor().display_name());
  *record.mutable_skills() = request.contractor().skills();
  *record.mutable_languages() = request.contractor().languages();
  record.set_min_pay_micros(request.contractor().min_pay_micros());
  *record.mutable_opt_outs() = request.contractor().opt_outs();
  record.set_create_ms(known.has_value() ? known->create_ms()
                                         : absl::ToUnixMillis(parts_.clock->Now()));
  const uint64_t life = parts_.follower->Life();
  ASSIGN_OR_RETURN(uint64_t seq, parts_.homes->PutContractor(record));
  RETURN_IF_ERROR(parts_.follower->AwaitDurable(
      {parts_.tasks->topology().HomeOf(principal.contractor), seq, life}, kDurableTimeout));
  response = ToContractor(record);
  return absl::OkStatus();
}

grpc::Status ContractorServiceImpl::Enrol(grpc::ServerContext* context,
                                          const v1::EnrolRequest* request,
                                          v1::Contractor* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "Enrol"), [&](const Principal& principal) {
    return EnrolContractor(principal, *request, *response);
  });
}

grpc::Status ContractorServiceImpl::SetAvailability(grpc::ServerContext* context,
                                                    const v1::SetAvailabilityRequest* request,
                                                    v1::SetAvailabilityResponse*) {
  return Serve(parts_, *context, absl::StrCat(kService, "SetAvailability"),
               [&](const Principal& principal) -> absl::Status {
                 if (request->credit() < 0 || request->credit() > 8) {
                   return FieldError("credit", "must be 0 to 8");
                 }
                 int64_t lifetime_ms = ToMillis(request->lifetime());
                 if (lifetime_ms == 0) lifetime_ms = 60'000;
                 if (lifetime_ms < 1000 || lifetime_ms > 3'600'000) {
                   return FieldError("lifetime", "must be 1 s to 1 h");
                 }
                 return parts_.homes->SetPresence(principal.contractor, request->credit(),
                                                  absl::Milliseconds(lifetime_ms));
               });
}

grpc::ServerBidiReactor<v1::WorkRequest, v1::WorkResponse>* ContractorServiceImpl::Work(
    grpc::CallbackServerContext* context) {
  return NewWorkStream(parts_, actions_, *hub_, *executor_, context);
}

grpc::Status ContractorServiceImpl::PollOffers(grpc::ServerContext* context,
                                               const v1::PollOffersRequest* request,
                                               v1::PollOffersResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "PollOffers"),
               [&](const Principal& principal) -> absl::Status {
                 const int64_t wait_ms = ToMillis(request->wait());
                 if (wait_ms < 0 || wait_ms > 30'000)
                   return FieldError("wait", "must be 0 to 30 s");
                 const absl::Time until = absl::Now() + absl::Milliseconds(wait_ms);
                 OfferInbox inbox(hub_, principal.contractor);
                 std::vector<v1::Offer> offers = actions_.Offers(principal);
                 while (offers.empty() && absl::Now() < until && !context->IsCancelled()) {
                   offers = inbox.Await(std::min(until - absl::Now(), kLookForCancel));
                 }
                 for (v1::Offer& offer : offers) *response->add_offers() = std::move(offer);
                 return absl::OkStatus();
               });
}

grpc::Status ContractorServiceImpl::AcceptOffer(grpc::ServerContext* context,
                                                const v1::AcceptOfferRequest* request,
                                                v1::Assignment* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "AcceptOffer"),
               [&](const Principal& principal) -> absl::Status {
                 ASSIGN_OR_RETURN(*response, actions_.Accept(principal, *request));
                 return absl::OkStatus();
               });
}

grpc::Status ContractorServiceImpl::DeclineOffer(grpc::ServerContext* context,
                                                 const v1::DeclineOfferRequest* request,
                                                 v1::DeclineOfferResponse*) {
  return Serve(parts_, *context, absl::StrCat(kService, "DeclineOffer"),
               [&](const Principal& principal) { return actions_.Decline(principal, *request); });
}

grpc::Status ContractorServiceImpl::SubmitAnnotation(grpc::ServerContext* context,
                                                     const v1::SubmitAnnotationRequest* request,
                                                     v1::Receipt* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "SubmitAnnotation"),
               [&](const Principal& principal) -> absl::Status {
                 ASSIGN_OR_RETURN(Answered answered, actions_.Submit(principal, *request));
                 RETURN_IF_ERROR(parts_.follower->AwaitDurable(answered.change, kDurableTimeout));
                 *response = std::move(answered.receipt);
                 return absl::OkStatus();
               });
}

grpc::Status ContractorServiceImpl::ExtendAssignment(grpc::ServerContext* context,
                                                     const v1::ExtendAssignmentRequest* request,
                                                     v1::ExtendAssignmentResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "ExtendAssignment"),
               [&](const Principal& principal) -> absl::Status {
                 ASSIGN_OR_RETURN(*response, actions_.Extend(principal, *request));
                 return absl::OkStatus();
               });
}

grpc::Status ContractorServiceImpl::ReturnAssignment(grpc::ServerContext* context,
                                                     const v1::ReturnAssignmentRequest* request,
                                                     v1::ReturnAssignmentResponse*) {
  return Serve(parts_, *context, absl::StrCat(kService, "ReturnAssignment"),
               [&](const Principal& principal) { return actions_.Return(principal, *request); });
}

grpc::Status ContractorServiceImpl::ReportTask(grpc::ServerContext* context,
                                               const v1::ReportTaskRequest* request,
                                               v1::ReportTaskResponse*) {
  return Serve(parts_, *context, absl::StrCat(kService, "ReportTask"),
               [&](const Principal& principal) -> absl::Status {
                 ASSIGN_OR_RETURN(const store::PendingChange change,
                                  actions_.Report(principal, *request));
                 return parts_.follower->AwaitDurable(change, kDurableTimeout);
               });
}

}  // namespace fairlead::api
