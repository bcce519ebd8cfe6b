#include "scheduler/api/model_service.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "scheduler/api/call.h"
#include "scheduler/api/convert.h"
#include "scheduler/api/names.h"
#include "scheduler/learn/job_priority.h"
#include "scheduler/learn/manifests.h"
#include "scheduler/learn/registry_steps.h"

namespace fairlead::api {
namespace {

constexpr char kService[] = "/fairlead.v1.ModelService/";

absl::StatusOr<store::v1::ModelRecord> Find(const Parts& parts, const std::string& key) {
  std::optional<store::v1::ModelRecord> record = parts.registry->Model(key);
  if (!record.has_value()) {
    return Error(absl::StatusCode::kNotFound, "MODEL_NOT_FOUND", absl::StrCat("no model ", key));
  }
  return *std::move(record);
}

absl::StatusOr<learn::RebuildSource> DataOf(const Parts& parts, const ModelName& model,
                                            const std::string& version) {
  ASSIGN_OR_RETURN(const store::v1::ModelRecord record, Find(parts, model.key()));
  const store::v1::ModelVersionRecord* found = learn::FindVersion(record, version);
  if (found == nullptr) return learn::NoVersion(version);
  ASSIGN_OR_RETURN(const std::string bytes, parts.blobs->Get(model.tenant, found->manifest_blob()));
  store::v1::DatasetManifest manifest;
  if (!manifest.ParseFromString(bytes)) {
    return absl::DataLossError(absl::StrCat("manifest ", found->manifest_blob(), " is damaged"));
  }
  learn::RebuildSource data{found->manifest_blob(), 0};
  ASSIGN_OR_RETURN(data.deleted_items, learn::RemoveDeleted(*parts.index, manifest));
  if (data.deleted_items == 0) return data;
  ASSIGN_OR_RETURN(data.manifest_blob,
                   parts.blobs->Put(model.tenant, learn::DeterministicBytes(manifest)));
  return data;
}

}  // namespace

absl::Status ModelServiceImpl::Change(
    const std::string& key, const std::function<absl::Status(store::v1::ModelRecord&)>& change,
    v1::Model& response) {
  ASSIGN_OR_RETURN(store::v1::ModelRecord record, Find(parts_, key));
  RETURN_IF_ERROR(change(record));
  const uint64_t life = parts_.follower->Life();
  ASSIGN_OR_RETURN(uint64_t seq, parts_.registry_store->PutModel(record));
  RETURN_IF_ERROR(
      parts_.follower->AwaitDurable({store::kRegistrySlot, seq, life}, kDurableTimeout));
  record.set_revision(record.revision() + 1);
  response = ToModel(record);
  return absl::OkStatus();
}

absl::Status ModelServiceImpl::Versions(const Principal& principal,
                                        const v1::ListModelVersionsRequest& request,
                                        v1::ListModelVersionsResponse& response) {
  ASSIGN_OR_RETURN(ModelName name, ParseModel("parent", request.parent()));
  RETURN_IF_ERROR(CheckTenant(principal, name.tenant));
  ASSIGN_OR_RETURN(size_t size, PageSize(request.page_size()));
  ASSIGN_OR_RETURN(store::v1::ModelRecord record, Find(parts_, name.key()));
  // The token is how many versions are left: versions are only ever added in front.
  int left = record.versions_size();
  if (!request.page_token().empty() && (!absl::SimpleAtoi(request.page_token(), &left) ||
                                        left < 0 || left > record.versions_size())) {
    return FieldError("page_token", "must be one from an earlier response");
  }
  for (; left > 0 && static_cast<size_t>(response.versions_size()) < size; --left) {
    *response.add_versions() = ToModelVersion(record.versions(left - 1));
  }
  if (left > 0) response.set_next_page_token(absl::StrCat(left));
  return absl::OkStatus();
}

grpc::Status ModelServiceImpl::ListModels(grpc::ServerContext* context,
                                          const v1::ListModelsRequest* request,
                                          v1::ListModelsResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "ListModels"),
               [&](const Principal& principal) -> absl::Status {
                 ASSIGN_OR_RETURN(std::string tenant, ParseTenant("parent", request->parent()));
                 RETURN_IF_ERROR(CheckTenant(principal, tenant));
                 ASSIGN_OR_RETURN(size_t size, PageSize(request->page_size()));
                 auto page = parts_.registry->Models(tenant, request->page_token(), size + 1);
                 if (page.size() > size) {
                   page.pop_back();
                   response->set_next_page_token(page.back().model());
                 }
                 for (const auto& record : page) *response->add_models() = ToModel(record);
                 return absl::OkStatus();
               });
}

grpc::Status ModelServiceImpl::ListModelVersions(grpc::ServerContext* context,
                                                 const v1::ListModelVersionsRequest* request,
                                                 v1::ListModelVersionsResponse* response) {
  return Serve(
      parts_, *context, absl::StrCat(kService, "ListModelVersions"),
      [&](const Principal& principal) { return Versions(principal, *request, *response); });
}

grpc::Status ModelServiceImpl::PromoteModel(grpc::ServerContext* context,
                                            const v1::PromoteModelRequest* request,
                                            v1::Model* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "PromoteModel"),
               [&](const Principal& principal) -> absl::Status {
                 ASSIGN_OR_RETURN(VersionName name, ParseVersion("version", request->version()));
                 RETURN_IF_ERROR(CheckTenant(principal, name.model.tenant));
                 return Change(
                     name.model.key(),
                     [&](store::v1::ModelRecord& record) {
                       return learn::Promote(request->version(),
                                             absl::StrCat("promoted by token ", principal.token_id),
                                             record);
                     },
                     *response);
               });
}

grpc::Status ModelServiceImpl::RollbackModel(grpc::ServerContext* context,
                                             const v1::RollbackModelRequest* request,
                                             v1::Model* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "RollbackModel"),
               [&](const Principal& principal) -> absl::Status {
                 ASSIGN_OR_RETURN(ModelName name, ParseModel("name", request->name()));
                 RETURN_IF_ERROR(CheckTenant(principal, name.tenant));
                 return Change(name.key(), learn::Rollback, *response);
               });
}

grpc::Status ModelServiceImpl::RebuildModel(grpc::ServerContext* context,
                                            const v1::RebuildModelRequest* request,
                                            v1::ModelVersion* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "RebuildModel"),
               [&](const Principal& principal) -> absl::Status {
                 ASSIGN_OR_RETURN(VersionName name, ParseVersion("version", request->version()));
                 RETURN_IF_ERROR(CheckTenant(principal, name.model.tenant));
                 ASSIGN_OR_RETURN(const learn::RebuildSource data,
                                  DataOf(parts_, name.model, request->version()));
                 store::v1::JobRecord job;
                 v1::Model model;
                 RETURN_IF_ERROR(Change(
                     name.model.key(),
                     [&](store::v1::ModelRecord& record) -> absl::Status {
                       const int64_t now_ms = absl::ToUnixMillis(parts_.clock->Now());
                       ASSIGN_OR_RETURN(
                           job, learn::BeginRebuild(request->version(), data, now_ms, record));
                       *response = ToModelVersion(*learn::FindVersion(record, request->version()));
                       return absl::OkStatus();
                     },
                     model));
                 return parts_.jobs->Enqueue(job, learn::kRebuildPriority).status();
               });
}

}  // namespace fairlead::api
