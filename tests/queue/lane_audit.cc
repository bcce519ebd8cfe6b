#include "tests/queue/lane_audit.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/redis/keys.h"

namespace fairlead::queue {
namespace {

absl::Status Expect(bool holds, const std::string& what) {
  return holds ? absl::OkStatus() : absl::InternalError(what);
}

struct Counted {
  std::map<std::string, LaneStats> kinds;
  std::map<std::string, std::pair<int64_t, int64_t>> flows;  // Leased and waiting.
  std::map<std::string, int64_t> ready;                      // By class.
  std::vector<std::string> leased;
};

void Count(const std::string& id, const JobView& view, Counted* counted) {
  LaneStats& kind = counted->kinds[view.job.kind()];
  auto& [leased, waiting] = counted->flows[view.flow];
  kind.ready += view.state == JobState::kReady ? 1 : 0;
  kind.delayed += view.state == JobState::kDelayed ? 1 : 0;
  kind.leased += view.state == JobState::kLeased ? 1 : 0;
  kind.dead += view.state == JobState::kDead ? 1 : 0;
  leased += view.state == JobState::kLeased ? 1 : 0;
  waiting += view.state == JobState::kReady || view.state == JobState::kDelayed ? 1 : 0;
  counted->ready[view.job_class] += view.state == JobState::kReady ? 1 : 0;
  if (view.state == JobState::kLeased) counted->leased.push_back(id);
}

absl::Status CheckHolders(JobQueue& queue, std::vector<std::string> leased) {
  std::vector<std::string> held;
  ASSIGN_OR_RETURN(const std::vector<SessionView> sessions, queue.Sessions(1000));
  for (const SessionView& session : sessions) {
    ASSIGN_OR_RETURN(const std::vector<Lease> mine, queue.Mine(session.session));
    for (const Lease& lease : mine) held.push_back(lease.job.job());
  }
  std::sort(held.begin(), held.end());
  std::sort(leased.begin(), leased.end());
  // Sessions that have expired hold theirs until they are reaped.
  const bool once = std::adjacent_find(held.begin(), held.end()) == held.end();
  return Expect(once && std::includes(leased.begin(), leased.end(), held.begin(), held.end()),
                absl::StrCat("leased are ", absl::StrJoin(leased, " "), ", held are ",
                             absl::StrJoin(held, " ")));
}

}  // namespace

absl::Status AuditLane(JobQueue& queue, const std::vector<std::string>& jobs) {
  Counted counted;
  std::vector<std::pair<std::string, JobView>> live;
  for (const std::string& id : jobs) {
    absl::StatusOr<JobView> view = queue.Inspect(id);
    if (absl::IsNotFound(view.status())) continue;
    RETURN_IF_ERROR(view.status());
    if (view->state == JobState::kDone) continue;
    Count(id, *view, &counted);
    live.emplace_back(id, *std::move(view));
  }
  for (const auto& [id, view] : live) {
    const auto& [leased, waiting] = counted.flows[view.flow];
    RETURN_IF_ERROR(Expect(view.flow_leased == leased && view.flow_waiting == waiting,
                           absl::StrCat("flow ", view.flow, " counts ", view.flow_leased, " and ",
                                        view.flow_waiting, ", has ", leased, " and ", waiting)));
    RETURN_IF_ERROR(Expect(view.class_ready == counted.ready[view.job_class],
                           absl::StrCat("class ", view.job_class, " counts other ready jobs")));
  }
  ASSIGN_OR_RETURN(const std::vector<LaneStats> stats, queue.Stats());
  for (const LaneStats& one : stats) {
    const LaneStats& must = counted.kinds[one.kind];
    RETURN_IF_ERROR(Expect(one.ready == must.ready && one.delayed == must.delayed &&
                               one.leased == must.leased && one.dead == must.dead,
                           absl::StrCat(one.kind, " counts ", one.ready, " ", one.delayed, " ",
                                        one.leased, " ", one.dead, ", has ", must.ready, " ",
                                        must.delayed, " ", must.leased, " ", must.dead)));
  }
  return CheckHolders(queue, counted.leased);
}

absl::Status FinishLane(RedisLane& lane, const std::vector<std::string>& flows) {
  JobQueue& queue = lane.queue();
  for (const std::string& flow : flows) RETURN_IF_ERROR(queue.SetLimits(flow, FlowLimits()));
  RETURN_IF_ERROR(queue.SetDrain("", false).status());
  lane.clock().Advance(absl::Hours(24));
  absl::StatusOr<int> reaped = 1;
  while (reaped.ok() && *reaped > 0) reaped = queue.Reap(100);
  RETURN_IF_ERROR(reaped.status());
  ASSIGN_OR_RETURN(const std::vector<LaneStats> before, queue.Stats());
  TickRequest request = MakeTick("finisher", kMaxBatch);
  request.able.device = "cuda";
  request.able.memory_mib = 1 << 20;
  for (const LaneStats& one : before) request.kinds.push_back(one.kind);
  // A client hears of classes when a tick is idle: so once more after the first that is.
  for (int idle = 0; idle < 2;) {
    ASSIGN_OR_RETURN(TickResponse response, queue.Tick(request));
    RETURN_IF_ERROR(Expect(response.lost.empty(), "a holder's ack was refused"));
    request.acks.clear();
    for (const Lease& lease : response.leases) request.acks.emplace_back().token = lease.token;
    idle = response.leases.empty() ? idle + 1 : 0;
  }
  ASSIGN_OR_RETURN(const std::vector<LaneStats> after, queue.Stats());
  for (const LaneStats& one : after) {
    RETURN_IF_ERROR(Expect(one.ready + one.delayed + one.leased == 0,
                           absl::StrCat("left of ", one.kind, ": ", one.ready, " ready, ",
                                        one.delayed, " delayed, ", one.leased, " leased")));
  }
  for (const std::string& key : {redis::JobDueKey("m0"), redis::JobDatedKey("m0")}) {
    ASSIGN_OR_RETURN(const redis::Reply size, lane.pool().Call({"ZCARD", key}));
    RETURN_IF_ERROR(Expect(size.AsInt() == 0, absl::StrCat(key, " is not empty")));
  }
  return absl::OkStatus();
}

}  // namespace fairlead::queue
