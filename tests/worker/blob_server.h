// A BlobService over blobs in memory, on a unix socket, for a worker to talk to.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>
#include "common/blob/blob_store.h"
#include "fairlead/v1/blob_service.grpc.pb.h"

namespace fairlead::testing {

class BlobServer final : public v1::BlobService::Service {
 public:
  // Listens on `socket_path`; takes calls with "Bearer <token>" only.
  BlobServer(std::string socket_path, std::string token);
  ~BlobServer() override;

  BlobStore& blobs() { return *blobs_; }
  std::string target() const;
  // Answers the next `count` calls with UNAVAILABLE.
  void FailNext(int count) { failures_ = count; }
  // Flips a byte of every download.
  void Corrupt(bool corrupt) { corrupt_ = corrupt; }
  int calls() const { return calls_; }

  grpc::Status UploadBlob(grpc::ServerContext* context,
                          grpc::ServerReader<v1::UploadBlobRequest>* reader,
                          v1::UploadBlobResponse* response) override;
  grpc::Status DownloadBlob(grpc::ServerContext* context, const v1::DownloadBlobRequest* request,
                            grpc::ServerWriter<v1::DownloadBlobResponse>* writer) override;

 private:
  grpc::Status Admit(const grpc::ServerContext& context, const std::string& job);

  const std::string socket_path_;
  const std::string token_;
  const std::unique_ptr<BlobStore> blobs_;
  std::atomic<int> failures_{0};
  std::atomic<int> calls_{0};
  std::atomic<bool> corrupt_{false};
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace fairlead::testing
