#include "tests/worker/blob_server.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/blob/memory_blob_store.h"

namespace fairlead::testing {
namespace {

constexpr size_t kChunkBytes = 256 << 10;

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

}  // namespace

BlobServer::BlobServer(std::string socket_path, std::string token)
    : socket_path_(std::move(socket_path)), token_(std::move(token)), blobs_(NewMemoryBlobStore()) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(target(), grpc::InsecureServerCredentials());
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
}

BlobServer::~BlobServer() {
  if (server_ != nullptr) server_->Shutdown();
}

std::string BlobServer::target() const { return absl::StrCat("unix:", socket_path_); }

grpc::Status BlobServer::Admit(const grpc::ServerContext& context, const std::string& job) {
  ++calls_;
  if (failures_ > 0) {
    --failures_;
    return {grpc::StatusCode::UNAVAILABLE, "try again"};
  }
  const auto bearer = context.client_metadata().find("authorization");
  if (bearer == context.client_metadata().end() ||
      bearer->second != absl::StrCat("Bearer ", token_)) {
    return {grpc::StatusCode::UNAUTHENTICATED, "no such token"};
  }
  if (job.empty()) return {grpc::StatusCode::INVALID_ARGUMENT, "job is required of workers"};
  return grpc::Status::OK;
}

grpc::Status BlobServer::UploadBlob(grpc::ServerContext* context,
                                    grpc::ServerReader<v1::UploadBlobRequest>* reader,
                                    v1::UploadBlobResponse* response) {
  v1::UploadBlobRequest request;
  if (!reader->Read(&request) || !request.has_header()) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "the header comes first"};
  }
  const v1::UploadBlobRequest::Header header = request.header();
  const grpc::Status admitted = Admit(*context, header.job());
  if (!admitted.ok()) return admitted;
  std::string bytes;
  while (reader->Read(&request)) {
    if (request.chunk().size() > kChunkBytes) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "chunk too large"};
    }
    bytes += request.chunk();
  }
  if (static_cast<int64_t>(bytes.size()) != header.size()) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "size differs"};
  }
  const absl::string_view tenant = absl::StripPrefix(header.tenant(), "tenants/");
  const absl::StatusOr<std::string> id = blobs_->Put(tenant, bytes);
  if (!id.ok()) return ToGrpc(id.status());
  response->set_blob(*id);
  return grpc::Status::OK;
}

grpc::Status BlobServer::DownloadBlob(grpc::ServerContext* context,
                                      const v1::DownloadBlobRequest* request,
                                      grpc::ServerWriter<v1::DownloadBlobResponse>* writer) {
  const grpc::Status admitted = Admit(*context, request->job());
  if (!admitted.ok()) return admitted;
  const absl::string_view tenant = absl::StripPrefix(request->tenant(), "tenants/");
  absl::StatusOr<std::string> bytes = blobs_->Get(tenant, request->blob());
  if (!bytes.ok()) return ToGrpc(bytes.status());
  if (corrupt_ && !bytes->empty()) (*bytes)[0] ^= 1;
  for (size_t at = 0; at < bytes->size(); at += kChunkBytes) {
    v1::DownloadBlobResponse response;
    response.set_chunk(bytes->substr(at, kChunkBytes));
    writer->Write(response);
  }
  return grpc::Status::OK;
}

}  // namespace fairlead::testing
