#include "scheduler/api/job_service.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/queue/job_codec.h"
#include "scheduler/api/call.h"
#include "scheduler/api/convert.h"

namespace fairlead::api {
namespace {

constexpr char kService[] = "/fairlead.v1.JobService/";

absl::StatusOr<std::string> JobOf(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, "jobs/") || name.empty()) {
    return FieldError("name", "must be jobs/{job}");
  }
  return std::string(name);
}

const char* NameOf(queue::JobState state) {
  switch (state) {
    case queue::JobState::kReady:
      return "ready";
    case queue::JobState::kDelayed:
      return "delayed";
    case queue::JobState::kLeased:
      return "leased";
    case queue::JobState::kDone:
      return "done";
    case queue::JobState::kDead:
      return "dead";
  }
  return "";
}

template <typename Names>
absl::StatusOr<std::vector<std::string>> JobsOf(const Names& names) {
  std::vector<std::string> jobs;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(jobs.emplace_back(), JobOf(name));
  }
  return jobs;
}

int Changed(const std::vector<absl::Status>& each) {
  return static_cast<int>(
      std::count_if(each.begin(), each.end(), [](const absl::Status& one) { return one.ok(); }));
}

std::string ReasonOfReady(const queue::JobView& view, int able_workers) {
  const queue::FlowLimits& limits = view.limits;
  if (limits.paused) return absl::StrCat("the jobs of ", view.flow, " are paused");
  if (limits.leased > 0 && view.flow_leased >= limits.leased) {
    return absl::StrCat(view.flow, " has ", view.flow_leased, " jobs running, its cap is ",
                        limits.leased);
  }
  if (view.rate_spent) {
    return absl::StrCat(view.flow, " may start ", limits.per_second,
                        " jobs a second and has just done so");
  }
  if (able_workers == 0) return absl::StrCat("no live worker can run ", view.job_class);
  return absl::StrCat("it waits its turn among ", view.class_ready, " ready jobs of ",
                      view.job_class, "; ", able_workers, " workers can run it");
}

}  // namespace

std::string ReasonOfJob(const queue::JobView& view, int able_workers, absl::Time now) {
  switch (view.state) {
    case queue::JobState::kReady:
      return ReasonOfReady(view, able_workers);
    case queue::JobState::kDelayed:
      return absl::StrCat(view.attempts > 0 ? "it failed and is tried again in " : "it starts in ",
                          absl::FormatDuration(absl::Ceil(
                              std::max(absl::ZeroDuration(), view.when - now), absl::Seconds(1))));
    case queue::JobState::kLeased:
      return absl::StrCat("it runs on worker ", view.session);
    case queue::JobState::kDone:
      return "it is done";
    case queue::JobState::kDead:
      return absl::StrCat("it is dead: ", view.error);
  }
  return "";
}

absl::Status JobServiceImpl::Explain(const v1::ExplainJobRequest& request,
                                     v1::ExplainJobResponse& response) {
  ASSIGN_OR_RETURN(const std::string job, JobOf(request.name()));
  const absl::StatusOr<queue::JobView> found = parts_.jobs->Inspect(job);
  if (absl::IsNotFound(found.status())) {
    return Error(absl::StatusCode::kNotFound, "JOB_NOT_FOUND",
                 absl::StrCat("no job ", job, "; what ended long ago is forgotten"));
  }
  RETURN_IF_ERROR(found.status());
  const queue::JobView& view = *found;
  ASSIGN_OR_RETURN(const auto sessions, parts_.jobs->Sessions(1000));
  const int able = static_cast<int>(
      std::count_if(sessions.begin(), sessions.end(), [&](const queue::SessionView& session) {
        return queue::CanRun(view.job_class, session.kinds, session.able);
      }));
  response.set_state(NameOf(view.state));
  response.set_reason(ReasonOfJob(view, able, parts_.clock->Now()));
  absl::string_view needs = view.job_class;
  response.set_kind(std::string(queue::KindOf(needs)));
  absl::ConsumePrefix(&needs, response.kind());
  response.set_requirements(std::string(absl::StripAsciiWhitespace(needs)));
  response.set_flow(view.flow);
  response.set_priority(view.priority);
  response.set_attempts(view.attempts);
  response.set_crashes(view.crashes);
  response.set_error(view.error);
  response.set_progress(view.progress);
  response.set_session(view.session);
  if (view.when > absl::UnixEpoch()) {
    *response.mutable_time() = ToTimestamp(absl::ToUnixMillis(view.when));
  }
  if (view.deadline != absl::InfiniteFuture()) {
    *response.mutable_deadline() = ToTimestamp(absl::ToUnixMillis(view.deadline));
  }
  v1::JobLimits& limits = *response.mutable_limits();
  limits.set_weight(view.limits.weight);
  limits.set_max_leased(view.limits.leased);
  limits.set_per_second(view.limits.per_second);
  limits.set_burst(view.limits.burst);
  limits.set_max_waiting(view.limits.waiting);
  limits.set_paused(view.limits.paused);
  response.set_flow_leased(view.flow_leased);
  response.set_flow_waiting(view.flow_waiting);
  response.set_class_ready(view.class_ready);
  return absl::OkStatus();
}

absl::Status JobServiceImpl::Search(const v1::SearchDeadJobsRequest& request,
                                    v1::SearchDeadJobsResponse& response) {
  ASSIGN_OR_RETURN(const size_t size, PageSize(request.page_size()));
  queue::DeadQuery query;
  query.limit = static_cast<int>(size);
  query.text = request.text();
  query.kind = request.kind();
  if (!request.page_token().empty() &&
      (!absl::SimpleAtoi(request.page_token(), &query.offset) || query.offset < 0)) {
    return FieldError("page_token", "must be one from an earlier response");
  }
  ASSIGN_OR_RETURN(const queue::DeadPage page, parts_.jobs->SearchDead(query));
  for (const queue::DeadJob& job : page.jobs) {
    v1::SearchDeadJobsResponse::DeadJob& one = *response.add_jobs();
    one.set_name(absl::StrCat("jobs/", job.job));
    one.set_kind(job.kind);
    one.set_flow(job.flow);
    one.set_reason(job.error);
    one.set_attempts(job.attempts);
    one.set_crashes(job.crashes);
    *one.mutable_dead_time() = ToTimestamp(absl::ToUnixMillis(job.dead_time));
  }
  if (page.next >= 0) response.set_next_page_token(absl::StrCat(page.next));
  return absl::OkStatus();
}

grpc::Status JobServiceImpl::ExplainJob(grpc::ServerContext* context,
                                        const v1::ExplainJobRequest* request,
                                        v1::ExplainJobResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "ExplainJob"),
               [&](const Principal&) { return Explain(*request, *response); });
}

grpc::Status JobServiceImpl::SearchDeadJobs(grpc::ServerContext* context,
                                            const v1::SearchDeadJobsRequest* request,
                                            v1::SearchDeadJobsResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "SearchDeadJobs"),
               [&](const Principal&) { return Search(*request, *response); });
}

grpc::Status JobServiceImpl::ReplayDeadJobs(grpc::ServerContext* context,
                                            const v1::ReplayDeadJobsRequest* request,
                                            v1::ReplayDeadJobsResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "ReplayDeadJobs"),
               [&](const Principal&) -> absl::Status {
                 ASSIGN_OR_RETURN(const auto jobs, JobsOf(request->names()));
                 ASSIGN_OR_RETURN(const auto each, parts_.jobs->ReplayAll(jobs));
                 response->set_replayed(Changed(each));
                 return absl::OkStatus();
               });
}

grpc::Status JobServiceImpl::PurgeDeadJobs(grpc::ServerContext* context,
                                           const v1::PurgeDeadJobsRequest* request,
                                           v1::PurgeDeadJobsResponse* response) {
  return Serve(parts_, *context, absl::StrCat(kService, "PurgeDeadJobs"),
               [&](const Principal&) -> absl::Status {
                 ASSIGN_OR_RETURN(const auto jobs, JobsOf(request->names()));
                 ASSIGN_OR_RETURN(const auto each, parts_.jobs->Purge(jobs));
                 response->set_purged(Changed(each));
                 return absl::OkStatus();
               });
}

grpc::Status JobServiceImpl::SetJobLimits(grpc::ServerContext* context,
                                          const v1::SetJobLimitsRequest* request,
                                          v1::SetJobLimitsResponse*) {
  return Serve(parts_, *context, absl::StrCat(kService, "SetJobLimits"),
               [&](const Principal&) -> absl::Status {
                 queue::FlowLimits limits;
                 limits.weight = std::max(1, request->limits().weight());
                 limits.leased = request->limits().max_leased();
                 limits.per_second = request->limits().per_second();
                 limits.burst = request->limits().burst();
                 limits.waiting = request->limits().max_waiting();
                 limits.paused = request->limits().paused();
                 return parts_.jobs->SetLimits(request->flow(), limits);
               });
}

}  // namespace fairlead::api
