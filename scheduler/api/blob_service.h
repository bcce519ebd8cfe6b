// BlobService: see proto/fairlead/v1/blob_service.proto.
#pragma once

#include <string>

#include "fairlead/v1/blob_service.grpc.pb.h"
#include "scheduler/api/parts.h"

namespace fairlead::api {

// Thread-safe.
class BlobServiceImpl final : public v1::BlobService::Service {
 public:
  explicit BlobServiceImpl(const Parts* parts) : parts_(*parts) {}

  grpc::Status UploadBlob(grpc::ServerContext* context,
                          grpc::ServerReader<v1::UploadBlobRequest>* reader,
                          v1::UploadBlobResponse* response) override;
  grpc::Status DownloadBlob(grpc::ServerContext* context, const v1::DownloadBlobRequest* request,
                            grpc::ServerWriter<v1::DownloadBlobResponse>* writer) override;

 private:
  absl::Status Upload(const Principal& principal, grpc::ServerReader<v1::UploadBlobRequest>& reader,
                      v1::UploadBlobResponse& response);
  absl::Status Download(const Principal& principal, const v1::DownloadBlobRequest& request,
                        grpc::ServerWriter<v1::DownloadBlobResponse>& writer);
  // Whether the caller may read the blob: a client its tenant's, a contractor those of work it has
  // accepted, a worker those that its job's record and manifest name.
  absl::Status CheckRead(const Principal& principal, const std::string& tenant,
                         const v1::DownloadBlobRequest& request);
  absl::Status CheckWorkerRead(const std::string& tenant, const std::string& job,
                               const std::string& blob);
  absl::Status CheckContractorRead(const Principal& principal, const std::string& tenant,
                                   const v1::DownloadBlobRequest& request);

  const Parts& parts_;
};

}  // namespace fairlead::api
