#include "scheduler/api/project_service.h"

#include <google/protobuf/util/message_differencer.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "scheduler/api/call.h"
#include "scheduler/api/convert.h"
#include "scheduler/api/names.h"
#include "scheduler/api/project_progress.h"
#include "scheduler/api/validate.h"

namespace fairlead::api {
namespace {

constexpr char kService[] = "/fairlead.v1.ProjectService/";

v1::PayRate Stamped(const v1::PayRate& rate, int version, absl::Time now) {
  v1::PayRate stamped = rate;
  stamped.set_version(version);
  *stamped.mutable_effective_time() = ToTimestamp(absl::ToUnixMillis(now));
  return stamped;
}

absl::Status Show(const Parts& parts, const store::v1::ProjectRecord& record,
                  v1::Project& response) {
  ASSIGN_OR_RETURN(store::ProjectCounts counts, parts.tasks->Counts(record.project()));
  response = ToProject(record, counts);
  return absl::OkStatus();
}

}  // namespace

absl::Status StoreProject(const Parts& parts, store::v1::ProjectRecord record, int64_t revision,
                          v1::Project& response) {
  record.set_revision(revision + 1);
  const uint64_t life = parts.follower->Life();
  ASSIGN_OR_RETURN(uint64_t seq, parts.tasks->PutProject(record, revision));
  RETURN_IF_ERROR(AwaitTask(parts, record.project(), seq, life));
  return Show(parts, record, response);
}

absl::Status ProjectServiceImpl::Create(const Principal& principal,
                                        const v1::CreateProjectRequest& request,
                                        v1::Project& response) {
  ASSIGN_OR_RETURN(std::string tenant, ParseTenant("parent", request.parent()));
  RETURN_IF_ERROR(CheckTenant(principal, tenant));
  if (!parts_.registry->HasTenant(tenant)) {
    return Error(absl::StatusCode::kNotFound, "TENANT_NOT_FOUND",
                 absl::StrCat("no tenant ", tenant));
  }
  if (!IsSlug(request.project_id())) {
    return FieldError("project_id", "must be a slug: a-z, 0-9 and -, beginning with a letter");
  }
  ASSIGN_OR_RETURN(v1::ProjectSettings settings, ValidateSettings(request.settings()));
  RETURN_IF_ERROR(ValidatePayRate(request.pay_rate()));
  const absl::Time now = parts_.clock->Now();
  store::v1::ProjectRecord record;
  record.set_project(ProjectName{tenant, request.project_id()}.key());
  *record.mutable_settings() = settings;
  *record.add_pay_rates() = Stamped(request.pay_rate(), 1, now);
  record.set_create_ms(absl::ToUnixMillis(now));
  absl::Status stored = StoreProject(parts_, record, 0, response);
  if (!absl::IsAlreadyExists(stored)) return stored;
  // The same again is the same project: creating it is idempotent.
  ASSIGN_OR_RETURN(store::v1::ProjectRecord known, parts_.registry->Project(record.project()));
  const bool same = google::protobuf::util::MessageDifferencer::Equals(known.settings(), settings);
  return same ? Show(parts_, known, response) : stored;
}

absl::Status ProjectServiceImpl::Update(const Principal& principal,
                                        const v1::UpdateProjectRequest& request,
                                        v1::Project& response) {
  ASSIGN_OR_RETURN(ProjectName name, ParseProject("name", request.name()));
  RETURN_IF_ERROR(CheckTenant(principal, name.tenant));
  ASSIGN_OR_RETURN(store::v1::ProjectRecord record, parts_.registry->Project(name.key()));
  ASSIGN_OR_RETURN(v1::ProjectSettings settings, ValidateSettings(request.settings()));
  if (request.revision() < 1) return FieldError("revision", "is required: pass the one you read");
  if (settings.answer_schema().kind() != record.settings().answer_schema().kind()) {
    return Error(absl::StatusCode::kFailedPrecondition, "STATE_KIND_IMMUTABLE",
                 "the kind of a project never changes: create another project");
  }
  if (settings.qualification().skill() != record.settings().qualification().skill()) {
    return Error(absl::StatusCode::kFailedPrecondition, "STATE_TEST_IMMUTABLE",
                 "settings.qualification.skill: whether a project is a test, and of what skill, "
                 "never changes: create another project");
  }
  *record.mutable_settings() = settings;
  return StoreProject(parts_, record, request.revision(), response);
}

absl::Status ProjectServiceImpl::AddRate(const Principal& principal,
                                         const v1::AddPayRateRequest& request,
                                         v1::Project& response) {
  ASSIGN_OR_RETURN(ProjectName name, ParseProject("name", request.name()));
  RETURN_IF_ERROR(CheckTenant(principal, name.tenant));
  RETURN_IF_ERROR(ValidatePayRate(request.pay_rate()));
  ASSIGN_OR_RETURN(store::v1::ProjectRecord record, parts_.registry->Project(name.key()));
  if (record.pay_rates_size() >= 1000) {
    return Error(absl::StatusCode::kFailedPrecondition, "STATE_TOO_MANY_RATES",
                 "a project has at most 1,000 pay rates");
  }
  *record.add_pay_rates() =
      Stamped(request.pay_rate(), record.pay_rates_size() + 1, parts_.clock->Now());
  return StoreProject(parts_, record, record.revision(), response);
}

grpc::Status ProjectServiceImpl::CreateProject(grpc::ServerContext* context,
                                               const v1::CreateProjectRequest* request,
                                               v1::Project* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "CreateProject"),
               [&](const Principal& principal) { return Create(principal, *request, *response); });
}

grpc::Status ProjectServiceImpl::GetProject(grpc::ServerContext* context,
                                            const v1::GetProjectRequest* request,
                                            v1::Project* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "GetProject"),
               [&](const Principal& principal) -> absl::Status {
                 ASSIGN_OR_RETURN(ProjectName name, ParseProject("name", request->name()));
                 RETURN_IF_ERROR(CheckTenant(principal, name.tenant));
                 ASSIGN_OR_RETURN(store::v1::ProjectRecord record,
                                  parts_.registry->Project(name.key()));
                 RETURN_IF_ERROR(Show(parts_, record, *response));
                 *response->mutable_forecast() = quality::ForecastOf(
                     record.settings(), store::CurrentRate(record).micros_per_annotation(),
                     ProgressOf(parts_, record.project()));
                 return absl::OkStatus();
               });
}

grpc::Status ProjectServiceImpl::ListProjects(grpc::ServerContext* context,
                                              const v1::ListProjectsRequest* request,
                                              v1::ListProjectsResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "ListProjects"),
               [&](const Principal& principal) -> absl::Status {
                 ASSIGN_OR_RETURN(std::string tenant, ParseTenant("parent", request->parent()));
                 RETURN_IF_ERROR(CheckTenant(principal, tenant));
                 ASSIGN_OR_RETURN(size_t size, PageSize(request->page_size()));
                 std::vector<store::v1::ProjectRecord> page =
                     parts_.registry->Projects(tenant, request->page_token(), size + 1);
                 if (page.size() > size) {
                   page.pop_back();
                   response->set_next_page_token(page.back().project());
                 }
                 for (const store::v1::ProjectRecord& record : page) {
                   RETURN_IF_ERROR(Show(parts_, record, *response->add_projects()));
                 }
                 return absl::OkStatus();
               });
}

grpc::Status ProjectServiceImpl::UpdateProject(grpc::ServerContext* context,
                                               const v1::UpdateProjectRequest* request,
                                               v1::Project* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "UpdateProject"),
               [&](const Principal& principal) { return Update(principal, *request, *response); });
}

grpc::Status ProjectServiceImpl::AddPayRate(grpc::ServerContext* context,
                                            const v1::AddPayRateRequest* request,
                                            v1::Project* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "AddPayRate"),
               [&](const Principal& principal) { return AddRate(principal, *request, *response); });
}

}  // namespace fairlead::api
