// ProjectService: see proto/fairlead/v1/project_service.proto for the contract of every method.
#pragma once

#include "fairlead/v1/project_service.grpc.pb.h"
#include "scheduler/api/parts.h"

namespace fairlead::api {

// Thread-safe.
class ProjectServiceImpl final : public v1::ProjectService::Service {
 public:
  explicit ProjectServiceImpl(const Parts* parts) : parts_(*parts) {}

  grpc::Status CreateProject(grpc::ServerContext* context, const v1::CreateProjectRequest* request,
                             v1::Project* response) override;
  grpc::Status GetProject(grpc::ServerContext* context, const v1::GetProjectRequest* request,
                          v1::Project* response) override;
  grpc::Status ListProjects(grpc::ServerContext* context, const v1::ListProjectsRequest* request,
                            v1::ListProjectsResponse* response) override;
  grpc::Status UpdateProject(grpc::ServerContext* context, const v1::UpdateProjectRequest* request,
                             v1::Project* response) override;
  grpc::Status AddPayRate(grpc::ServerContext* context, const v1::AddPayRateRequest* request,
                          v1::Project* response) override;

 private:
  absl::Status Create(const Principal& principal, const v1::CreateProjectRequest& request,
                      v1::Project& response);
  absl::Status Update(const Principal& principal, const v1::UpdateProjectRequest& request,
                      v1::Project& response);
  absl::Status AddRate(const Principal& principal, const v1::AddPayRateRequest& request,
                       v1::Project& response);

  const Parts& parts_;
};

// Writes a changed project, waits until it is durable and reads it back; what UpdateProject,
// AddPayRate, PauseProject and ResumeProject end with. ABORTED / REVISION_CHANGED on a race.
absl::Status StoreProject(const Parts& parts, store::v1::ProjectRecord record, int64_t revision,
                          v1::Project& response);

}  // namespace fairlead::api
