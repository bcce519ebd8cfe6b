#include "common/rpc/grpc_blob_client.h"

#include <algorithm>
#include <functional>
#include <utility>

#include <grpcpp/grpcpp.h>
#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/blob/blob_cache.h"
#include "common/blob/blob_id.h"
#include "fairlead/v1/blob_service.grpc.pb.h"

namespace fairlead {
namespace {

constexpr size_t kChunkBytes = 256 << 10;
constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Seconds(5);

// The codes have the same numbers on both sides.
absl::Status FromGrpc(const grpc::Status& status, absl::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat(doing, ": ", status.error_message()));
}

}  // namespace

struct GrpcBlobClient::Shared {
  GrpcBlobClientOptions options;
  std::unique_ptr<v1::BlobService::Stub> stub;
  std::unique_ptr<BlobCache> cache;  // Null without a directory.

  void Prepare(grpc::ClientContext* context) const {
    context->set_deadline(absl::ToChronoTime(absl::Now() + options.call_timeout));
    if (!options.token.empty()) {
      context->AddMetadata("authorization", absl::StrCat("Bearer ", options.token));
    }
  }

  // Repeats what ended UNAVAILABLE: both calls may be made any number of times.
  absl::Status Retry(const std::function<absl::Status()>& call) const {
    absl::BitGen gen;
    absl::Duration pause = kFirstPause;
    for (int attempt = 1;; ++attempt) {
      const absl::Status status = call();
      if (!absl::IsUnavailable(status) || attempt >= options.attempts) return status;
      FAIRLEAD_LOG(WARNING) << "blob call to be repeated attempt=" << attempt
                            << " status=" << status;
      absl::SleepFor(pause * absl::Uniform(gen, 0.5, 1.0));
      pause = std::min(2 * pause, kLongestPause);
    }
  }
};

class GrpcBlobClient::Remote final : public BlobStore {
 public:
  Remote(Shared* shared, std::string job) : shared_(*shared), job_(std::move(job)) {}

  absl::StatusOr<std::string> Put(absl::string_view tenant, absl::string_view bytes) override {
    RETURN_IF_ERROR(CheckBlobTenant(tenant));
    const std::string id = Sha256Hex(bytes);
    std::string stored;
    RETURN_IF_ERROR(shared_.Retry([&] { return Upload(tenant, id, bytes, &stored); }));
    if (stored != id) {
      return absl::DataLossError(absl::StrCat("blob ", id, " was stored as ", stored));
    }
    if (shared_.cache != nullptr) shared_.cache->Put(tenant, id, bytes);
    return id;
  }

  absl::StatusOr<std::string> Get(absl::string_view tenant, absl::string_view id) override {
    RETURN_IF_ERROR(CheckBlobName(tenant, id));
    if (shared_.cache != nullptr) {
      std::optional<std::string> cached = shared_.cache->Get(tenant, id);
      if (cached.has_value()) return *std::move(cached);
    }
    std::string bytes;
    RETURN_IF_ERROR(shared_.Retry([&] { return Download(tenant, id, &bytes); }));
    if (Sha256Hex(bytes) != id) {
      return absl::DataLossError(absl::StrCat("blob ", id, " arrived with other bytes"));
    }
    if (shared_.cache != nullptr) shared_.cache->Put(tenant, id, bytes);
    return bytes;
  }

  absl::StatusOr<bool> Has(absl::string_view tenant, absl::string_view id) override {
    const absl::Status status = Get(tenant, id).status();
    if (absl::IsNotFound(status)) return false;
    RETURN_IF_ERROR(status);
    return true;
  }

 private:
  absl::Status Upload(absl::string_view tenant, const std::string& id, absl::string_view bytes,
                      std::string* stored) {
    grpc::ClientContext context;
    shared_.Prepare(&context);
    v1::UploadBlobResponse response;
    const auto writer = shared_.stub->UploadBlob(&context, &response);
    v1::UploadBlobRequest request;
    request.mutable_header()->set_tenant(absl::StrCat("tenants/", tenant));
    request.mutable_header()->set_size(static_cast<int64_t>(bytes.size()));
    request.mutable_header()->set_sha256(id);
    request.mutable_header()->set_job(job_);
    bool open = writer->Write(request);
    for (size_t at = 0; open && at < bytes.size(); at += kChunkBytes) {
      const absl::string_view piece = bytes.substr(at, kChunkBytes);
      request.set_chunk(std::string(piece));
      open = writer->Write(request);
    }
    writer->WritesDone();
    RETURN_IF_ERROR(FromGrpc(writer->Finish(), absl::StrCat("uploading blob ", id)));
    *stored = response.blob();
    return absl::OkStatus();
  }

  absl::Status Download(absl::string_view tenant, absl::string_view id, std::string* bytes) {
    grpc::ClientContext context;
    shared_.Prepare(&context);
    v1::DownloadBlobRequest request;
    request.set_tenant(absl::StrCat("tenants/", tenant));
    request.set_blob(std::string(id));
    request.set_job(job_);
    const auto reader = shared_.stub->DownloadBlob(&context, request);
    bytes->clear();
    v1::DownloadBlobResponse response;
    while (reader->Read(&response)) bytes->append(response.chunk());
    return FromGrpc(reader->Finish(), absl::StrCat("downloading blob ", id));
  }

  const Shared& shared_;
  const std::string job_;
};

GrpcBlobClient::GrpcBlobClient(std::unique_ptr<Shared> shared) : shared_(std::move(shared)) {}

GrpcBlobClient::~GrpcBlobClient() = default;

absl::StatusOr<std::unique_ptr<GrpcBlobClient>> GrpcBlobClient::Create(
    GrpcBlobClientOptions options) {
  if (options.target.empty()) return FieldError("scheduler", "must be host:port or unix:path");
  auto shared = std::make_unique<Shared>();
  shared->stub = v1::BlobService::NewStub(
      grpc::CreateChannel(options.target, grpc::InsecureChannelCredentials()));
  if (!options.cache_directory.empty()) {
    shared->cache = std::make_unique<BlobCache>(options.cache_directory, options.cache_bytes);
  }
  shared->options = std::move(options);
  return std::unique_ptr<GrpcBlobClient>(new GrpcBlobClient(std::move(shared)));
}

std::unique_ptr<BlobStore> GrpcBlobClient::ForJob(const std::string& job) {
  return std::make_unique<Remote>(shared_.get(), job);
}

}  // namespace fairlead
