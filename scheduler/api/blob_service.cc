#include "scheduler/api/blob_service.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "scheduler/api/call.h"
#include "scheduler/api/names.h"

namespace fairlead::api {
namespace {

constexpr char kService[] = "/fairlead.v1.BlobService/";
constexpr int64_t kMaxBlobBytes = 1 << 30;
constexpr size_t kChunkBytes = 256 << 10;

absl::Status NotGranted(absl::string_view what) {
  return Error(absl::StatusCode::kPermissionDenied, "BLOB_NOT_GRANTED",
               absl::StrCat("the blob is not part of ", what));
}

// The payload's blob, if it has one.
const std::string& BlobOf(const v1::Payload& payload) { return payload.image_text().blob(); }

// The blobs that a job's manifest names; empty when it cannot be read.
absl::flat_hash_set<std::string> NamedBlobs(const store::v1::JobRecord& job,
                                            const std::string& bytes) {
  absl::flat_hash_set<std::string> named;
  store::v1::DatasetManifest dataset;
  store::v1::PrelabelManifest prelabels;
  if (absl::StartsWith(job.kind(), "train-") || absl::StartsWith(job.kind(), "check-")) {
    if (!dataset.ParseFromString(bytes)) return named;
    for (const auto& item : dataset.items()) named.insert(BlobOf(item.payload()));
  } else {
    if (!prelabels.ParseFromString(bytes)) return named;
    for (const auto& item : prelabels.items()) named.insert(BlobOf(item.payload()));
  }
  named.erase("");
  return named;
}

}  // namespace

absl::Status BlobServiceImpl::CheckWorkerRead(const std::string& tenant, const std::string& job_id,
                                              const std::string& blob) {
  if (job_id.empty()) return FieldError("job", "is required of workers");
  ASSIGN_OR_RETURN(store::v1::JobRecord job, parts_.jobs->Find(job_id));
  if (job.tenant() != tenant) return NotGranted("a job of this tenant");
  if (blob == job.manifest_blob() || blob == job.champion_blob() ||
      std::find(job.inputs().begin(), job.inputs().end(), blob) != job.inputs().end()) {
    return absl::OkStatus();
  }
  if (parts_.grants->Has(job_id, blob)) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::string manifest, parts_.blobs->Get(tenant, job.manifest_blob()));
  absl::flat_hash_set<std::string> named = NamedBlobs(job, manifest);
  if (!named.contains(blob)) return NotGranted("the job's manifest");
  parts_.grants->Remember(job_id, std::move(named));
  return absl::OkStatus();
}

absl::Status BlobServiceImpl::CheckContractorRead(const Principal& principal,
                                                  const std::string& tenant,
                                                  const v1::DownloadBlobRequest& request) {
  ASSIGN_OR_RETURN(AssignmentName name, ParseAssignment("assignment", request.assignment()));
  if (name.task.project.tenant != tenant) return NotGranted("this assignment");
  ASSIGN_OR_RETURN(store::TaskState task, parts_.tasks->Load(name.task.ref()));
  for (const store::v1::Placement& place : task.places) {
    if (place.contractor() == principal.contractor && place.assignment() == name.assignment &&
        place.state() == store::v1::Placement::ACCEPTED &&
        BlobOf(task.record.payload()) == request.blob()) {
      return absl::OkStatus();
    }
  }
  return NotGranted("work you have accepted");
}

absl::Status BlobServiceImpl::CheckRead(const Principal& principal, const std::string& tenant,
                                        const v1::DownloadBlobRequest& request) {
  if (principal.role == v1::ROLE_WORKER)
    return CheckWorkerRead(tenant, request.job(), request.blob());
  if (principal.role == v1::ROLE_CONTRACTOR) return CheckContractorRead(principal, tenant, request);
  return CheckTenant(principal, tenant);
}

absl::Status BlobServiceImpl::Upload(const Principal& principal,
                                     grpc::ServerReader<v1::UploadBlobRequest>& reader,
                                     v1::UploadBlobResponse& response) {
  v1::UploadBlobRequest request;
  if (!reader.Read(&request) || !request.has_header()) {
    return FieldError("header", "must be the first message");
  }
  const v1::UploadBlobRequest::Header header = request.header();
  ASSIGN_OR_RETURN(std::string tenant, ParseTenant("header.tenant", header.tenant()));
  if (principal.role == v1::ROLE_WORKER) {
    ASSIGN_OR_RETURN(store::v1::JobRecord job, parts_.jobs->Find(header.job()));
    if (job.tenant() != tenant) return NotGranted("a job of this tenant");
  } else {
    RETURN_IF_ERROR(CheckTenant(principal, tenant));
  }
  if (header.size() < 1)
    return FieldError("header.size", "must be positive: an empty blob is no blob");
  if (header.size() > kMaxBlobBytes) {
    return Error(absl::StatusCode::kResourceExhausted, "BLOB_TOO_LARGE",
                 absl::StrCat("a blob has at most ", kMaxBlobBytes, " bytes"));
  }
  std::string bytes;
  while (reader.Read(&request)) {
    if (request.chunk().size() > kChunkBytes) {
      return FieldError("chunk", absl::StrCat("has at most ", kChunkBytes, " bytes"));
    }
    bytes += request.chunk();
    if (static_cast<int64_t>(bytes.size()) > header.size()) break;
  }
  if (static_cast<int64_t>(bytes.size()) != header.size()) {
    return FieldError("header.size",
                      absl::StrCat("says ", header.size(), " bytes, other bytes came"));
  }
  if (!header.sha256().empty() && Sha256Hex(bytes) != header.sha256()) {
    return FieldError("header.sha256", "does not match the bytes that came");
  }
  ASSIGN_OR_RETURN(*response.mutable_blob(), parts_.blobs->Put(tenant, bytes));
  return absl::OkStatus();
}

absl::Status BlobServiceImpl::Download(const Principal& principal,
                                       const v1::DownloadBlobRequest& request,
                                       grpc::ServerWriter<v1::DownloadBlobResponse>& writer) {
  ASSIGN_OR_RETURN(std::string tenant, ParseTenant("tenant", request.tenant()));
  RETURN_IF_ERROR(CheckRead(principal, tenant, request));
  ASSIGN_OR_RETURN(std::string bytes, parts_.blobs->Get(tenant, request.blob()));
  for (size_t at = 0; at < bytes.size(); at += kChunkBytes) {
    v1::DownloadBlobResponse response;
    response.set_chunk(bytes.substr(at, kChunkBytes));
    if (!writer.Write(response)) return absl::CancelledError("the client went away");
  }
  return absl::OkStatus();
}

grpc::Status BlobServiceImpl::UploadBlob(grpc::ServerContext* context,
                                         grpc::ServerReader<v1::UploadBlobRequest>* reader,
                                         v1::UploadBlobResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "UploadBlob"),
               [&](const Principal& principal) { return Upload(principal, *reader, *response); });
}

grpc::Status BlobServiceImpl::DownloadBlob(grpc::ServerContext* context,
                                           const v1::DownloadBlobRequest* request,
                                           grpc::ServerWriter<v1::DownloadBlobResponse>* writer) {
  return Serve(parts_, *context, absl::StrCat(kService, "DownloadBlob"),
               [&](const Principal& principal) { return Download(principal, *request, *writer); });
}

}  // namespace fairlead::api
