#include "scheduler/api/admin_service.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/hash.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/redis/keys.h"
#include "scheduler/api/account_service.h"
#include "scheduler/api/call.h"
#include "scheduler/api/convert.h"
#include "scheduler/api/names.h"
#include "scheduler/api/project_service.h"

namespace fairlead::api {
namespace {

constexpr char kService[] = "/fairlead.v1.AdminService/";
constexpr int64_t kDayMs = 86'400'000;

absl::Status AwaitRegistry(const Parts& parts, uint64_t seq, uint64_t life) {
  return parts.follower->AwaitDurable({store::kRegistrySlot, seq, life}, kDurableTimeout);
}

}  // namespace

absl::Status AdminServiceImpl::MakeTenant(const v1::CreateTenantRequest& request,
                                          v1::Tenant& response) {
  if (!IsSlug(request.tenant_id())) {
    return FieldError("tenant_id", "must be a slug: a-z, 0-9 and -, beginning with a letter");
  }
  store::v1::TenantRecord record;
  record.set_tenant(request.tenant_id());
  record.set_create_ms(absl::ToUnixMillis(parts_.clock->Now()));
  const uint64_t life = parts_.follower->Life();
  ASSIGN_OR_RETURN(uint64_t seq, parts_.registry_store->PutTenant(record));
  RETURN_IF_ERROR(AwaitRegistry(parts_, seq, life));
  response.set_name(TenantNameOf(record.tenant()));
  *response.mutable_create_time() = ToTimestamp(record.create_ms());
  return absl::OkStatus();
}

absl::Status AdminServiceImpl::MakeToken(const v1::CreateTokenRequest& request,
                                         v1::CreateTokenResponse& response) {
  const int64_t now_ms = absl::ToUnixMillis(parts_.clock->Now());
  store::v1::TokenRecord record;
  switch (request.role()) {
    case v1::ROLE_CLIENT: {
      ASSIGN_OR_RETURN(*record.mutable_tenant(), ParseTenant("tenant", request.tenant()));
      if (!parts_.registry->HasTenant(record.tenant())) {
        return FieldError("tenant", "is unknown: create the tenant first");
      }
      break;
    }
    case v1::ROLE_CONTRACTOR: {
      ASSIGN_OR_RETURN(*record.mutable_contractor(),
                       ParseContractor("contractor", request.contractor()));
      break;
    }
    case v1::ROLE_WORKER:
    case v1::ROLE_OPERATOR:
    case v1::ROLE_VIEWER:
      break;
    default:
      return FieldError("role", "is required");
  }
  const int64_t lifetime_ms = request.has_lifetime() ? ToMillis(request.lifetime()) : 90 * kDayMs;
  if (lifetime_ms < 1000 || lifetime_ms > 365 * kDayMs)
    return FieldError("lifetime", "must be 1 s to 365 d");
  absl::BitGen gen;
  const std::string secret = absl::StrCat("fl_", RandomHex(24));
  record.set_token_id(NewId(absl::FromUnixMillis(now_ms), gen));
  record.set_sha256(Sha256Hex(secret));
  record.set_role(request.role());
  record.set_create_ms(now_ms);
  record.set_expire_ms(now_ms + lifetime_ms);
  const uint64_t life = parts_.follower->Life();
  ASSIGN_OR_RETURN(uint64_t seq, parts_.registry_store->PutToken(record, 0));
  RETURN_IF_ERROR(AwaitRegistry(parts_, seq, life));
  response.set_token_id(record.token_id());
  response.set_secret(secret);
  return absl::OkStatus();
}

absl::Status AdminServiceImpl::Revoke(const v1::RevokeTokenRequest& request) {
  std::optional<store::v1::TokenRecord> record = parts_.registry->TokenById(request.token_id());
  if (!record.has_value()) {
    return Error(absl::StatusCode::kNotFound, "TOKEN_NOT_FOUND", "no such token");
  }
  if (record->revoked()) return absl::OkStatus();
  record->set_revoked(true);
  // A token is written twice at most: made and revoked.
  const uint64_t life = parts_.follower->Life();
  ASSIGN_OR_RETURN(uint64_t seq, parts_.registry_store->PutToken(*record, 1));
  return AwaitRegistry(parts_, seq, life);
}

absl::Status AdminServiceImpl::Queues(v1::GetQueuesResponse& response) {
  const int64_t now_ms = absl::ToUnixMillis(parts_.clock->Now());
  for (const store::v1::ProjectRecord& record : parts_.registry->Projects("", "", 10'000)) {
    ASSIGN_OR_RETURN(store::ProjectCounts counts, parts_.tasks->Counts(record.project()));
    v1::Project project = ToProject(record, counts);
    v1::GetQueuesResponse::ProjectQueue& queue = *response.add_projects();
    queue.set_project(project.name());
    queue.set_state(project.state());
    *queue.mutable_counts() = std::move(*project.mutable_counts());
    const int64_t oldest_ms = parts_.view->OldestCreateMs(record.project());
    if (oldest_ms > 0)
      *queue.mutable_oldest_age() = ToDuration(std::max<int64_t>(0, now_ms - oldest_ms));
  }
  ASSIGN_OR_RETURN(auto lanes, parts_.jobs->Stats());
  for (const queue::LaneStats& stats : lanes) {
    v1::GetQueuesResponse::JobQueue& queue = *response.add_jobs();
    queue.set_kind(stats.kind);
    queue.set_ready(stats.ready);
    queue.set_delayed(stats.delayed);
    queue.set_leased(stats.leased);
    queue.set_done(stats.done);
    queue.set_dead(stats.dead);
    *queue.mutable_oldest_age() = ToDuration(absl::ToInt64Milliseconds(stats.wait));
  }
  ASSIGN_OR_RETURN(auto sessions, parts_.jobs->Sessions(1000));
  for (const queue::SessionView& session : sessions) {
    *response.add_workers() = ToWorkerSession(session);
  }
  response.set_contractors_online(parts_.view->OnlineCount(now_ms));
  response.set_record_log_seq(static_cast<int64_t>(parts_.follower->DurableTotal()));
  return absl::OkStatus();
}

absl::Status AdminServiceImpl::Contractors(const v1::ListContractorsRequest& request,
                                           v1::ListContractorsResponse& response) {
  ASSIGN_OR_RETURN(size_t size, PageSize(request.page_size()));
  const int64_t now_ms = absl::ToUnixMillis(parts_.clock->Now());
  auto page = parts_.registry->Contractors(request.page_token(), size + 1);
  if (page.size() > size) {
    page.pop_back();
    response.set_next_page_token(page.back());
  }
  for (const std::string& contractor : page) {
    ASSIGN_OR_RETURN(store::PayDelta balance, parts_.homes->Balance(contractor));
    v1::ListContractorsResponse::Entry& entry = *response.add_contractors();
    entry.set_contractor(ContractorNameOf(contractor));
    entry.set_online(parts_.view->Online(contractor, now_ms));
    for (v1::Scorecard& card : ScorecardsOf(parts_, contractor))
      *entry.add_scorecards() = std::move(card);
    for (v1::Qualification& one : QualificationsOf(parts_, contractor))
      *entry.add_qualifications() = std::move(one);
    entry.set_balance_micros(balance.micros);
    entry.set_annotations(balance.annotations);
  }
  return absl::OkStatus();
}

absl::Status AdminServiceImpl::SetPaused(const Principal& principal, const std::string& name,
                                         bool paused, v1::Project& response) {
  ASSIGN_OR_RETURN(ProjectName project, ParseProject("name", name));
  RETURN_IF_ERROR(CheckTenant(principal, project.tenant));
  ASSIGN_OR_RETURN(store::v1::ProjectRecord record, parts_.registry->Project(project.key()));
  record.set_paused(paused);
  const int64_t revision = record.revision();
  return StoreProject(parts_, std::move(record), revision, response);
}

absl::Status AdminServiceImpl::DeadLetters(const v1::ListDeadLettersRequest& request,
                                           v1::ListDeadLettersResponse& response) {
  ASSIGN_OR_RETURN(size_t size, PageSize(request.page_size()));
  int64_t skip = 0;
  if (!request.page_token().empty() &&
      (!absl::SimpleAtoi(request.page_token(), &skip) || skip < 0)) {
    return FieldError("page_token", "must be one from an earlier response");
  }
  const std::string first = absl::StrCat(skip);
  const std::string last = absl::StrCat(skip + static_cast<int64_t>(size) - 1);
  bool more = false;
  redis::ConnectionPool& pool = parts_.tasks->caller().pool();
  for (const std::string& slot : parts_.tasks->topology().ShardSlots()) {
    ASSIGN_OR_RETURN(redis::Reply dead,
                     pool.Call({"ZRANGE", redis::DeadKey(slot), first, last, "WITHSCORES"}));
    more = more || dead.elements.size() == 2 * size;
    for (size_t i = 0; i + 1 < dead.elements.size(); i += 2) {
      const std::string& task = dead.elements[i].text;
      ASSIGN_OR_RETURN(redis::Reply fields,
                       pool.Call({"HMGET", redis::TaskKey(slot, task), "p", "why", "reports"}));
      v1::ListDeadLettersResponse::DeadLetter& letter = *response.add_dead_letters();
      letter.set_name(TaskNameOf(fields.elements[0].AsText(), task));
      letter.set_reason(fields.elements[1].AsText());
      letter.set_attempts(static_cast<int32_t>(fields.elements[2].AsInt()));
      *letter.mutable_dead_time() = ToTimestamp(dead.elements[i + 1].AsInt());
    }
  }
  ASSIGN_OR_RETURN(auto jobs, parts_.jobs->Dead(static_cast<int>(skip), static_cast<int>(size)));
  more = more || jobs.size() == size;
  for (const queue::DeadJob& job : jobs) {
    v1::ListDeadLettersResponse::DeadLetter& letter = *response.add_dead_letters();
    letter.set_name(absl::StrCat("jobs/", job.job));
    letter.set_reason(job.error);
    letter.set_attempts(job.attempts + job.crashes);
    *letter.mutable_dead_time() = ToTimestamp(absl::ToUnixMillis(job.dead_time));
  }
  if (more) response.set_next_page_token(absl::StrCat(skip + static_cast<int64_t>(size)));
  return absl::OkStatus();
}

absl::Status AdminServiceImpl::Replay(const v1::ReplayDeadLetterRequest& request) {
  absl::string_view name = request.name();
  if (absl::ConsumePrefix(&name, "jobs/")) return parts_.jobs->Replay(name);
  ASSIGN_OR_RETURN(TaskName task, ParseTask("name", request.name()));
  ASSIGN_OR_RETURN(store::v1::ProjectRecord project, parts_.registry->Project(task.project.key()));
  const absl::Time expire =
      parts_.clock->Now() + absl::Milliseconds(ToMillis(project.settings().task_expiry()));
  const uint64_t life = parts_.follower->Life();
  absl::StatusOr<uint64_t> seq = parts_.tasks->Replay(task.ref(), expire);
  if (absl::IsNotFound(seq.status()) && parts_.archive->Load(task.ref()).ok()) {
    return Error(absl::StatusCode::kFailedPrecondition, "STATE_ARCHIVED",
                 absl::StrCat("task ", task.task,
                              " has left the queues after its retention: submit it again"));
  }
  RETURN_IF_ERROR(seq.status());
  return AwaitTask(parts_, task.project.key(), *seq, life);
}

grpc::Status AdminServiceImpl::CreateTenant(grpc::ServerContext* context,
                                            const v1::CreateTenantRequest* request,
                                            v1::Tenant* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "CreateTenant"),
               [&](const Principal&) { return MakeTenant(*request, *response); });
}

grpc::Status AdminServiceImpl::CreateToken(grpc::ServerContext* context,
                                           const v1::CreateTokenRequest* request,
                                           v1::CreateTokenResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "CreateToken"),
               [&](const Principal&) { return MakeToken(*request, *response); });
}

grpc::Status AdminServiceImpl::RevokeToken(grpc::ServerContext* context,
                                           const v1::RevokeTokenRequest* request,
                                           v1::RevokeTokenResponse*) {
  return Serve(parts_, *context, absl::StrCat(kService, "RevokeToken"),
               [&](const Principal&) { return Revoke(*request); });
}

grpc::Status AdminServiceImpl::GetQueues(grpc::ServerContext* context, const v1::GetQueuesRequest*,
                                         v1::GetQueuesResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "GetQueues"),
               [&](const Principal&) { return Queues(*response); });
}

grpc::Status AdminServiceImpl::ListContractors(grpc::ServerContext* context,
                                               const v1::ListContractorsRequest* request,
                                               v1::ListContractorsResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "ListContractors"),
               [&](const Principal&) { return Contractors(*request, *response); });
}

grpc::Status AdminServiceImpl::PauseProject(grpc::ServerContext* context,
                                            const v1::PauseProjectRequest* request,
                                            v1::Project* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "PauseProject"),
               [&](const Principal& principal) {
                 return SetPaused(principal, request->name(), true, *response);
               });
}

grpc::Status AdminServiceImpl::ResumeProject(grpc::ServerContext* context,
                                             const v1::ResumeProjectRequest* request,
                                             v1::Project* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "ResumeProject"),
               [&](const Principal& principal) {
                 return SetPaused(principal, request->name(), false, *response);
               });
}

grpc::Status AdminServiceImpl::DrainWorker(grpc::ServerContext* context,
                                           const v1::DrainWorkerRequest* request,
                                           v1::DrainWorkerResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "DrainWorker"),
               [&](const Principal&) -> absl::Status {
                 ASSIGN_OR_RETURN(int drained, parts_.jobs->Drain(request->session()));
                 response->set_drained(drained);
                 return absl::OkStatus();
               });
}

grpc::Status AdminServiceImpl::ListDeadLetters(grpc::ServerContext* context,
                                               const v1::ListDeadLettersRequest* request,
                                               v1::ListDeadLettersResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "ListDeadLetters"),
               [&](const Principal&) { return DeadLetters(*request, *response); });
}

grpc::Status AdminServiceImpl::ReplayDeadLetter(grpc::ServerContext* context,
                                                const v1::ReplayDeadLetterRequest* request,
                                                v1::ReplayDeadLetterResponse*) {
  return Serve(parts_, *context, absl::StrCat(kService, "ReplayDeadLetter"),
               [&](const Principal&) { return Replay(*request); });
}

}  // namespace fairlead::api
