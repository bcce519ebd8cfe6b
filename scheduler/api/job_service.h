// JobService: see proto/fairlead/v1/job_service.proto.
#pragma once

#include <string>

#include "common/queue/job_queue.h"
#include "fairlead/v1/job_service.grpc.pb.h"
#include "scheduler/api/parts.h"

namespace fairlead::api {

// Why the job is not running, or where it does: one sentence. `able_workers` is how many live
// workers can run jobs of its class, `now` the time to speak of. Pure.
std::string ReasonOfJob(const queue::JobView& view, int able_workers, absl::Time now);

// Thread-safe.
class JobServiceImpl final : public v1::JobService::Service {
 public:
  explicit JobServiceImpl(const Parts* parts) : parts_(*parts) {}

  grpc::Status ExplainJob(grpc::ServerContext* context, const v1::ExplainJobRequest* request,
                          v1::ExplainJobResponse* response) override;
  grpc::Status SearchDeadJobs(grpc::ServerContext* context,
                              const v1::SearchDeadJobsRequest* request,
                              v1::SearchDeadJobsResponse* response) override;
  grpc::Status ReplayDeadJobs(grpc::ServerContext* context,
                              const v1::ReplayDeadJobsRequest* request,
                              v1::ReplayDeadJobsResponse* response) override;
  grpc::Status PurgeDeadJobs(grpc::ServerContext* context, const v1::PurgeDeadJobsRequest* request,
                             v1::PurgeDeadJobsResponse* response) override;
  grpc::Status SetJobLimits(grpc::ServerContext* context, const v1::SetJobLimitsRequest* request,
                            v1::SetJobLimitsResponse* response) override;

 private:
  absl::Status Explain(const v1::ExplainJobRequest& request, v1::ExplainJobResponse& response);
  absl::Status Search(const v1::SearchDeadJobsRequest& request,
                      v1::SearchDeadJobsResponse& response);

  const Parts& parts_;
};

}  // namespace fairlead::api
