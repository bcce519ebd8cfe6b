// ContractorService: see proto/fairlead/v1/contractor_service.proto. Unary calls are synchronous;
// Work is a callback reactor, so that thousands of idle streams need no thread.
#pragma once

#include "common/base/executor.h"
#include "fairlead/v1/contractor_service.grpc.pb.h"
#include "scheduler/api/contractor_actions.h"
#include "scheduler/api/parts.h"
#include "scheduler/api/work_hub.h"

namespace fairlead::api {

// Thread-safe.
class ContractorServiceImpl final
    : public v1::ContractorService::WithCallbackMethod_Work<v1::ContractorService::Service> {
 public:
  ContractorServiceImpl(const Parts* parts, WorkHub* hub, Executor* executor)
      : parts_(*parts), actions_(parts), hub_(hub), executor_(executor) {}

  grpc::Status Enrol(grpc::ServerContext* context, const v1::EnrolRequest* request,
                     v1::Contractor* response) override;
  grpc::Status SetAvailability(grpc::ServerContext* context,
                               const v1::SetAvailabilityRequest* request,
                               v1::SetAvailabilityResponse* response) override;
  grpc::ServerBidiReactor<v1::WorkRequest, v1::WorkResponse>* Work(
      grpc::CallbackServerContext* context) override;
  grpc::Status PollOffers(grpc::ServerContext* context, const v1::PollOffersRequest* request,
                          v1::PollOffersResponse* response) override;
  grpc::Status AcceptOffer(grpc::ServerContext* context, const v1::AcceptOfferRequest* request,
                           v1::Assignment* response) override;
  grpc::Status DeclineOffer(grpc::ServerContext* context, const v1::DeclineOfferRequest* request,
                            v1::DeclineOfferResponse* response) override;
  grpc::Status SubmitAnnotation(grpc::ServerContext* context,
                                const v1::SubmitAnnotationRequest* request,
                                v1::Receipt* response) override;
  grpc::Status ExtendAssignment(grpc::ServerContext* context,
                                const v1::ExtendAssignmentRequest* request,
                                v1::ExtendAssignmentResponse* response) override;
  grpc::Status ReturnAssignment(grpc::ServerContext* context,
                                const v1::ReturnAssignmentRequest* request,
                                v1::ReturnAssignmentResponse* response) override;
  grpc::Status ReportTask(grpc::ServerContext* context, const v1::ReportTaskRequest* request,
                          v1::ReportTaskResponse* response) override;

 private:
  absl::Status EnrolContractor(const Principal& principal, const v1::EnrolRequest& request,
                               v1::Contractor& response);

  const Parts& parts_;
  ContractorActions actions_;
  WorkHub* const hub_;
  Executor* const executor_;
};

}  // namespace fairlead::api
