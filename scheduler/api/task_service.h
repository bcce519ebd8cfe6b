// TaskService: see proto/fairlead/v1/task_service.proto for the contract of every method.
#pragma once

#include <string>
#include <vector>

#include "absl/random/random.h"
#include "fairlead/v1/task_service.grpc.pb.h"
#include "scheduler/api/names.h"
#include "scheduler/api/parts.h"

namespace fairlead::api {

// Thread-safe.
class TaskServiceImpl final : public v1::TaskService::Service {
 public:
  explicit TaskServiceImpl(const Parts* parts) : parts_(*parts) {}

  grpc::Status SubmitTasks(grpc::ServerContext* context, const v1::SubmitTasksRequest* request,
                           v1::SubmitTasksResponse* response) override;
  grpc::Status AddGold(grpc::ServerContext* context, const v1::AddGoldRequest* request,
                       v1::SubmitTasksResponse* response) override;
  grpc::Status GetTask(grpc::ServerContext* context, const v1::GetTaskRequest* request,
                       v1::Task* response) override;
  grpc::Status ListTasks(grpc::ServerContext* context, const v1::ListTasksRequest* request,
                         v1::ListTasksResponse* response) override;
  grpc::Status CancelTask(grpc::ServerContext* context, const v1::CancelTaskRequest* request,
                          v1::Task* response) override;
  grpc::Status DeleteAnnotation(grpc::ServerContext* context,
                                const v1::DeleteAnnotationRequest* request,
                                v1::Task* response) override;
  grpc::Status RetractGold(grpc::ServerContext* context, const v1::RetractGoldRequest* request,
                           v1::Task* response) override;
  grpc::Status StreamResults(grpc::ServerContext* context, const v1::StreamResultsRequest* request,
                             grpc::ServerWriter<v1::StreamResultsResponse>* writer) override;
  grpc::Status ExportLabels(grpc::ServerContext* context, const v1::ExportLabelsRequest* request,
                            grpc::ServerWriter<v1::ExportLabelsResponse>* writer) override;
  grpc::Status ExplainTask(grpc::ServerContext* context, const v1::ExplainTaskRequest* request,
                           v1::ExplainTaskResponse* response) override;

 private:
  absl::Status Submit(const Principal& principal, const v1::SubmitTasksRequest& request,
                      v1::SubmitTasksResponse& response);
  absl::Status Gold(const Principal& principal, const v1::AddGoldRequest& request,
                    v1::SubmitTasksResponse& response);
  absl::Status Read(const Principal& principal, const std::string& name, v1::Task& response);
  absl::Status List(const Principal& principal, const v1::ListTasksRequest& request,
                    v1::ListTasksResponse& response);
  absl::Status Cancel(const Principal& principal, const v1::CancelTaskRequest& request,
                      v1::Task& response);
  absl::Status Delete(const Principal& principal, const v1::DeleteAnnotationRequest& request,
                      v1::Task& response);
  absl::Status Retract(const Principal& principal, const v1::RetractGoldRequest& request,
                       v1::Task& response);
  // The gold task as it has ended; one that goes on is cancelled.
  absl::StatusOr<store::TaskState> EndGold(const TaskName& task, const std::string& reason);
  absl::Status Stream(const Principal& principal, const v1::StreamResultsRequest& request,
                      grpc::ServerContext& context,
                      grpc::ServerWriter<v1::StreamResultsResponse>& writer);
  absl::Status Export(const Principal& principal, const v1::ExportLabelsRequest& request,
                      grpc::ServerWriter<v1::ExportLabelsResponse>& writer);
  absl::Status Explain(const Principal& principal, const std::string& name,
                       v1::ExplainTaskResponse& response);

  // Builds the records of a batch (images into the blob store) and stores them.
  absl::Status StoreBatch(const store::v1::ProjectRecord& project, const std::string& request_id,
                          const std::string& body_hash, const std::vector<v1::Task>& tasks,
                          const std::vector<v1::Answer>& gold, v1::SubmitTasksResponse& response);

  const Parts& parts_;
};

}  // namespace fairlead::api
