#include "scheduler/api/work_stream.h"

#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "common/rpc/grpc_status.h"
#include "scheduler/api/call.h"

namespace fairlead::api {
namespace {

constexpr char kMethod[] = "/fairlead.v1.ContractorService/Work";
// Responses waiting for a client that does not read: more is a broken client.
constexpr size_t kMaxOutbound = 64;

class WorkStream final : public grpc::ServerBidiReactor<v1::WorkRequest, v1::WorkResponse> {
 public:
  WorkStream(const Parts& parts, ContractorActions& actions, WorkHub& hub, Executor& executor,
             grpc::CallbackServerContext* context)
      : parts_(parts), actions_(actions), hub_(hub), executor_(executor), context_(context) {
    absl::StatusOr<Principal> principal = AuthorizeCall(parts, *context, kMethod);
    if (!principal.ok()) {
      Finish(rpc::ToGrpcStatus(principal.status()));
      return;
    }
    principal_ = *std::move(principal);
    subscription_ = hub_.Subscribe(
        principal_.contractor, [this](v1::WorkResponse response) { Send(std::move(response)); });
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      // The client is done or gone. Unsubscribing talks to Redis: not on a reactor's thread.
      executor_.Add([this] { Close(); });
      return;
    }
    executor_.Add([this] { Handle(request_); });
  }

  void OnWriteDone(bool ok) override {
    {
      MutexLock lock(&mu_);
      outbound_.pop_front();
      if (!ok) outbound_.clear();
      if (!outbound_.empty()) {
        StartWrite(&outbound_.front());
        return;
      }
      writing_ = false;
      if (!closed_) return;
    }
    // Outside the lock and last: OnDone, on another thread, deletes this.
    Finish(grpc::Status::OK);
  }

  void OnDone() override { delete this; }

 private:
  void Send(v1::WorkResponse response) {
    MutexLock lock(&mu_);
    if (closed_) return;
    if (outbound_.size() >= kMaxOutbound) {
      context_->TryCancel();
      return;
    }
    outbound_.push_back(std::move(response));
    if (writing_) return;
    writing_ = true;
    StartWrite(&outbound_.front());
  }

  void Close() {
    hub_.Unsubscribe(subscription_);
    {
      MutexLock lock(&mu_);
      closed_ = true;
      if (writing_) return;
    }
    Finish(grpc::Status::OK);
  }

  void Refuse(const std::string& assignment, const absl::Status& status) {
    v1::WorkResponse response;
    v1::WorkResponse::Refusal& refusal = *response.mutable_refusal();
    refusal.set_assignment(assignment);
    refusal.set_code(static_cast<int>(status.code()));
    refusal.set_reason(ReasonOf(status));
    refusal.set_message(std::string(status.message()));
    Send(std::move(response));
  }

  void SetCredit(int32_t credit) {
    if (credit < 0 || credit > 8) {
      Refuse("", FieldError("credit.credit", "must be 0 to 8"));
      return;
    }
    // What is live already counts as held and is sent again first: the client may have lost it.
    if (subscription_->credit() == 0) {
      for (v1::Offer& offer : actions_.Offers(principal_)) {
        v1::WorkResponse response;
        *response.mutable_offer() = std::move(offer);
        Send(std::move(response));
      }
    }
    subscription_->set_credit(credit);
    absl::Status status =
        parts_.homes->SetPresence(principal_.contractor, credit, kPresenceLifetime);
    if (!status.ok()) Refuse("", status);
  }

  // Ends, now or later, with StartRead.
  void Handle(const v1::WorkRequest& request) {
    switch (request.event_case()) {
      case v1::WorkRequest::kCredit:
        SetCredit(request.credit().credit());
        return StartRead(&request_);
      case v1::WorkRequest::kAccept:
        return Accept(request.accept());
      case v1::WorkRequest::kSubmit:
        return Submit(request.submit());
      case v1::WorkRequest::kReport:
        return Report(request.report());
      case v1::WorkRequest::kExtend:
        return Extend(request.extend());
      case v1::WorkRequest::kDecline:
        return Done(request.decline().assignment(),
                    actions_.Decline(principal_, request.decline()));
      case v1::WorkRequest::kReturnAssignment:
        return Done(request.return_assignment().assignment(),
                    actions_.Return(principal_, request.return_assignment()));
      case v1::WorkRequest::EVENT_NOT_SET:
        return Done("", FieldError("event", "is required"));
    }
  }

  void Accept(const v1::AcceptOfferRequest& request) {
    absl::StatusOr<v1::Assignment> accepted = actions_.Accept(principal_, request);
    if (!accepted.ok()) return Done(request.assignment(), accepted.status());
    v1::WorkResponse response;
    *response.mutable_assignment() = *std::move(accepted);
    Done(request.assignment(), absl::OkStatus(), std::move(response));
  }

  void Extend(const v1::ExtendAssignmentRequest& request) {
    absl::StatusOr<v1::ExtendAssignmentResponse> extended = actions_.Extend(principal_, request);
    if (!extended.ok()) return Done(request.assignment(), extended.status());
    v1::WorkResponse response;
    *response.mutable_extended() = *std::move(extended);
    Done(request.assignment(), absl::OkStatus(), std::move(response));
  }

  void Submit(const v1::SubmitAnnotationRequest& request) {
    absl::StatusOr<Answered> answered = actions_.Submit(principal_, request);
    if (!answered.ok()) return Done(request.assignment(), answered.status());
    v1::WorkResponse response;
    *response.mutable_receipt() = std::move(answered->receipt);
    DoneWhenDurable(request.assignment(), answered->change, std::move(response));
  }

  void Report(const v1::ReportTaskRequest& request) {
    const absl::StatusOr<store::PendingChange> change = actions_.Report(principal_, request);
    if (!change.ok()) return Done(request.assignment(), change.status());
    DoneWhenDurable(request.assignment(), *change, {});
  }

  void DoneWhenDurable(const std::string& assignment, const store::PendingChange& change,
                       v1::WorkResponse response) {
    // No read is under way until then, so that the stream cannot end under it.
    parts_.follower->WhenDurable(
        change, kDurableTimeout,
        [this, assignment, response = std::move(response)](const absl::Status& status) {
          Done(assignment, status, response);
        });
  }

  // One event is handled: `response`, unless it is empty, or why not; then the next.
  void Done(const std::string& assignment, const absl::Status& status,
            v1::WorkResponse response = {}) {
    if (!status.ok()) {
      Refuse(assignment, status);
    } else if (response.event_case() != v1::WorkResponse::EVENT_NOT_SET) {
      Send(std::move(response));
    }
    StartRead(&request_);
  }

  const Parts& parts_;
  ContractorActions& actions_;
  WorkHub& hub_;
  Executor& executor_;
  grpc::CallbackServerContext* const context_;
  Principal principal_;
  std::shared_ptr<WorkSubscription> subscription_;
  v1::WorkRequest request_;  // Between OnReadDone and StartRead ours, else gRPC's.

  Mutex mu_;
  std::deque<v1::WorkResponse> outbound_ ABSL_GUARDED_BY(mu_);  // The front is being written.
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

grpc::ServerBidiReactor<v1::WorkRequest, v1::WorkResponse>* NewWorkStream(
    const Parts& parts, ContractorActions& actions, WorkHub& hub, Executor& executor,
    grpc::CallbackServerContext* context) {
  return new WorkStream(parts, actions, hub, executor, context);
}

}  // namespace fairlead::api
