// ModelService: see proto/fairlead/v1/model_service.proto.
#pragma once

#include <functional>

#include "fairlead/v1/model_service.grpc.pb.h"
#include "scheduler/api/parts.h"

namespace fairlead::api {

// Thread-safe.
class ModelServiceImpl final : public v1::ModelService::Service {
 public:
  explicit ModelServiceImpl(const Parts* parts) : parts_(*parts) {}

  grpc::Status ListModels(grpc::ServerContext* context, const v1::ListModelsRequest* request,
                          v1::ListModelsResponse* response) override;
  grpc::Status ListModelVersions(grpc::ServerContext* context,
                                 const v1::ListModelVersionsRequest* request,
                                 v1::ListModelVersionsResponse* response) override;
  grpc::Status PromoteModel(grpc::ServerContext* context, const v1::PromoteModelRequest* request,
                            v1::Model* response) override;
  grpc::Status RollbackModel(grpc::ServerContext* context, const v1::RollbackModelRequest* request,
                             v1::Model* response) override;
  grpc::Status RebuildModel(grpc::ServerContext* context, const v1::RebuildModelRequest* request,
                            v1::ModelVersion* response) override;

 private:
  // Reads the model, lets `change` alter it, stores it by compare-and-set.
  absl::Status Change(const std::string& key,
                      const std::function<absl::Status(store::v1::ModelRecord&)>& change,
                      v1::Model& response);
  absl::Status Versions(const Principal& principal, const v1::ListModelVersionsRequest& request,
                        v1::ListModelVersionsResponse& response);

  const Parts& parts_;
};

}  // namespace fairlead::api
