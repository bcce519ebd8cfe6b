// AdminService: see proto/fairlead/v1/admin_service.proto.
#pragma once

#include "fairlead/v1/admin_service.grpc.pb.h"
#include "scheduler/api/parts.h"

namespace fairlead::api {

// Thread-safe.
class AdminServiceImpl final : public v1::AdminService::Service {
 public:
  explicit AdminServiceImpl(const Parts* parts) : parts_(*parts) {}

  grpc::Status CreateTenant(grpc::ServerContext* context, const v1::CreateTenantRequest* request,
                            v1::Tenant* response) override;
  grpc::Status CreateToken(grpc::ServerContext* context, const v1::CreateTokenRequest* request,
                           v1::CreateTokenResponse* response) override;
  grpc::Status RevokeToken(grpc::ServerContext* context, const v1::RevokeTokenRequest* request,
                           v1::RevokeTokenResponse* response) override;
  grpc::Status GetQueues(grpc::ServerContext* context, const v1::GetQueuesRequest* request,
                         v1::GetQueuesResponse* response) override;
  grpc::Status ListContractors(grpc::ServerContext* context,
                               const v1::ListContractorsRequest* request,
                               v1::ListContractorsResponse* response) override;
  grpc::Status PauseProject(grpc::ServerContext* context, const v1::PauseProjectRequest* request,
                            v1::Project* response) override;
  grpc::Status ResumeProject(grpc::ServerContext* context, const v1::ResumeProjectRequest* request,
                             v1::Project* response) override;
  grpc::Status DrainWorker(grpc::ServerContext* context, const v1::DrainWorkerRequest* request,
                           v1::DrainWorkerResponse* response) override;
  grpc::Status ListDeadLetters(grpc::ServerContext* context,
                               const v1::ListDeadLettersRequest* request,
                               v1::ListDeadLettersResponse* response) override;
  grpc::Status ReplayDeadLetter(grpc::ServerContext* context,
                                const v1::ReplayDeadLetterRequest* request,
                                v1::ReplayDeadLetterResponse* response) override;

 private:
  absl::Status MakeTenant(const v1::CreateTenantRequest& request, v1::Tenant& response);
  absl::Status MakeToken(const v1::CreateTokenRequest& request, v1::CreateTokenResponse& response);
  absl::Status Revoke(const v1::RevokeTokenRequest& request);
  absl::Status Queues(v1::GetQueuesResponse& response);
  absl::Status Contractors(const v1::ListContractorsRequest& request,
                           v1::ListContractorsResponse& response);
  absl::Status SetPaused(const Principal& principal, const std::string& name, bool paused,
                         v1::Project& response);
  absl::Status DeadLetters(const v1::ListDeadLettersRequest& request,
                           v1::ListDeadLettersResponse& response);
  absl::Status Replay(const v1::ReplayDeadLetterRequest& request);

  const Parts& parts_;
};

}  // namespace fairlead::api
