// CheckedLane between calls: everything that can be asked, against the model.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "tests/sim/checked_lane.h"

namespace fairlead::sim {

using queue::JobState;
using queue::JobView;
using queue::LaneStats;
using queue::Lease;
using queue::SessionView;

namespace {

std::string TextOf(const store::v1::JobFinished& one) {
  return absl::StrCat(one.job().job(), " ", one.dead() ? one.error() : "done", " ", one.attempts(),
                      "/", one.crashes(), " ", one.result().artefact_blob());
}

std::vector<std::string> Texts(const std::vector<store::v1::JobFinished>& all) {
  std::vector<std::string> texts;
  for (const store::v1::JobFinished& one : all) texts.push_back(TextOf(one));
  std::sort(texts.begin(), texts.end());
  return texts;
}

}  // namespace

// G1: each end was told once, and nothing else.
void CheckedLane::CheckTold() {
  const std::vector<std::string> must = Texts(told_), are = Texts(newly_finished_());
  told_.clear();
  if (must == are) return;
  Expect(false, absl::StrCat("G1: told of ends: ", absl::StrJoin(are, ", "), "; must be ",
                             absl::StrJoin(must, ", ")));
}

void CheckedLane::CheckJob(const std::string& id, Job& job, std::string* fingerprint) {
  const absl::StatusOr<JobView> view = inner_->Inspect(id);
  Expect(view.ok(), absl::StrCat("G1: lost: ", id));
  if (!view.ok()) return;
  if (job.unsure) {
    job.state = view->state == JobState::kReady ? JobState::kReady : job.state;
    job.unsure = false;
  }
  Expect(view->state == job.state,
         absl::StrCat("G1: ", id, " is in state ", static_cast<int>(view->state), ", must be in ",
                      static_cast<int>(job.state)));
  const bool timed = job.state != JobState::kReady && job.state != JobState::kLeased;
  Expect(!timed || absl::ToUnixMillis(view->when) == job.when,
         absl::StrCat(id, " has another time: ", absl::ToUnixMillis(view->when), ", must have ",
                      job.when));
  if (job.state == JobState::kDone) {
    Expect(view->result.SerializeAsString() == job.result.SerializeAsString(),
           absl::StrCat("the result is another: ", id));
    return;
  }
  const Flow& flow = flows_[job.flow];
  Expect(view->attempts == job.attempts && view->crashes == job.crashes,
         absl::StrCat("G6: ", id, " counts ", view->attempts, "/", view->crashes, ", must count ",
                      job.attempts, "/", job.crashes));
  Expect(view->error == job.error, absl::StrCat(id, " has another error: ", view->error));
  Expect(view->progress == job.note,
         absl::StrCat(id, " has another progress: ", view->progress, ", must have ", job.note));
  Expect(view->flow_leased == flow.leased && view->flow_waiting == flow.waiting,
         absl::StrCat("G4: flow ", job.flow, " counts ", view->flow_leased, " leased and ",
                      view->flow_waiting, " waiting, must count ", flow.leased, " and ",
                      flow.waiting));
  const bool leased = job.state == JobState::kLeased;
  Expect(view->session == (leased ? grants_[job.token].session : ""),
         absl::StrCat("G3: another session holds ", id, ": ", view->session));
  if (fingerprint == nullptr) return;
  absl::StrAppend(fingerprint, id, " ", view->job_class, " ", view->flow, " ", view->priority, " ",
                  view->limits.weight, " ", view->rate_spent, " ", view->class_ready, "\n");
}

// G4: the lane's numbers are those of the jobs.
void CheckedLane::CheckCounts(std::string* fingerprint) {
  std::map<std::string, LaneStats> must;
  for (const std::string& name : classes_) must[name.substr(0, name.find(' '))];
  for (const auto& [id, job] : jobs_) {
    LaneStats& one = must[job.asked.record.kind()];
    one.ready += job.state == JobState::kReady ? 1 : 0;
    one.delayed += job.state == JobState::kDelayed ? 1 : 0;
    one.leased += job.state == JobState::kLeased ? 1 : 0;
    one.dead += job.state == JobState::kDead ? 1 : 0;
  }
  const absl::StatusOr<std::vector<LaneStats>> are = inner_->Stats();
  Expect(are.ok() && are->size() == must.size(), "the lane's numbers cannot be read");
  if (!are.ok()) return;
  for (const LaneStats& one : *are) {
    const LaneStats& right = must[one.kind];
    Expect(one.ready == right.ready && one.delayed == right.delayed && one.leased == right.leased &&
               one.dead == right.dead && one.done == done_[one.kind],
           absl::StrCat("G4: ", one.kind, " counts ", one.ready, " ready, ", one.delayed,
                        " delayed, ", one.leased, " leased, ", one.dead, " dead, ", one.done,
                        " done; must count ", right.ready, ", ", right.delayed, ", ", right.leased,
                        ", ", right.dead, ", ", done_[one.kind]));
    if (fingerprint == nullptr) continue;
    absl::StrAppend(fingerprint, one.kind, " waits ", absl::FormatDuration(one.wait), "\n");
  }
}

// G3: a session holds what was given to it, under those tokens, and nobody else does.
void CheckedLane::CheckSessions(std::string* fingerprint) {
  std::map<std::string, std::pair<std::vector<std::string>, int>> must;  // Live tokens; all held.
  for (const auto& [id, session] : sessions_) {
    if (session.expiry > Now()) must[id];
  }
  for (const auto& [token, grant] : grants_) {
    const auto holder = must.find(grant.session);
    if (holder == must.end()) continue;
    if (grant.live) holder->second.first.push_back(absl::StrCat(token, " ", grant.job));
    ++holder->second.second;
  }
  absl::StatusOr<std::vector<SessionView>> are = inner_->Sessions(1000);
  Expect(are.ok() && are->size() == must.size(), "other sessions live than must");
  if (!are.ok()) return;
  std::sort(are->begin(), are->end(),
            [](const SessionView& a, const SessionView& b) { return a.session < b.session; });
  for (const SessionView& view : *are) {
    auto& [tokens, held] = must[view.session];
    Expect(view.leased == held,
           absl::StrCat("G3: ", view.session, " counts ", view.leased, " jobs and holds ", held));
    Expect(absl::ToUnixMillis(view.expire_time) == sessions_[view.session].expiry,
           "a session ends at another time");
    std::vector<std::string> mine;
    const absl::StatusOr<std::vector<Lease>> leases = inner_->Mine(view.session);
    Expect(leases.ok(), "what a session holds cannot be read");
    if (!leases.ok()) return;
    for (const Lease& lease : *leases) {
      mine.push_back(absl::StrCat(lease.token, " ", lease.job.job()));
    }
    std::sort(mine.begin(), mine.end());
    Expect(mine == tokens,
           absl::StrCat("G3: ", view.session, " holds other jobs than it was given"));
    if (fingerprint == nullptr) continue;
    absl::StrAppend(fingerprint, view.session, " ", absl::StrJoin(view.kinds, ","), " ",
                    view.able.device, " ", view.progress, " ", view.description, "\n");
  }
}

void CheckedLane::CheckAll(std::string* fingerprint) {
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    const bool gone =
        job->second.may_leave && absl::IsNotFound(inner_->Inspect(job->first).status());
    if (gone) {
      if (fingerprint != nullptr) absl::StrAppend(fingerprint, job->first, " is forgotten\n");
      job = jobs_.erase(job);
      continue;
    }
    CheckJob(job->first, job->second, fingerprint);
    ++job;
  }
  CheckCounts(fingerprint);
  CheckSessions(fingerprint);
}

// Questions are answered by the lane, and held against the model by CheckAll.
absl::StatusOr<std::vector<Lease>> CheckedLane::Mine(absl::string_view session) {
  return inner_->Mine(session);
}
absl::StatusOr<store::v1::JobRecord> CheckedLane::Find(absl::string_view job) {
  absl::StatusOr<store::v1::JobRecord> record = inner_->Find(job);
  const Job* known = JobOf(std::string(job));
  const bool must = known != nullptr && known->state != JobState::kDone;
  Expect(record.ok() == must, "a record was found, or not, against its state");
  if (record.ok() && must) {
    Expect(record->SerializeAsString() == known->asked.record.SerializeAsString(),
           "another record was found");
  }
  return record;
}
absl::StatusOr<JobView> CheckedLane::Inspect(absl::string_view job) { return inner_->Inspect(job); }
absl::StatusOr<std::vector<LaneStats>> CheckedLane::Stats() { return inner_->Stats(); }
absl::StatusOr<std::vector<SessionView>> CheckedLane::Sessions(int limit) {
  return inner_->Sessions(limit);
}

absl::StatusOr<queue::DeadPage> CheckedLane::SearchDead(const queue::DeadQuery& query) {
  absl::StatusOr<queue::DeadPage> page = inner_->SearchDead(query);
  Expect(page.ok(), "a search was refused");
  if (!page.ok()) return page;
  for (const queue::DeadJob& one : page->jobs) {
    const Job* job = JobOf(one.job);
    Expect(job != nullptr && job->state == JobState::kDead && job->error == one.error,
           absl::StrCat("a job was found dead that is not: ", one.job));
  }
  return page;
}

}  // namespace fairlead::sim
