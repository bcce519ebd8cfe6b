// A machine lane under oath: every call goes to the lane inside, and the answer is held against a
// model that knows what must come of it whatever the lane's order of service is. Between calls
// CheckAll() compares all that can be asked. The guarantees, as they read for jobs:
//   G1 every acknowledged job is in exactly one state and ends once; it leaves by retention or
//      purge only
//   G3 one live lease a job; a token that is not live changes nothing
//   G4 the counts are those of the jobs
//   G6 failures, lost leases and preemptions are counted apart; dead at their bounds, with the last
//      error
// and nothing that may run is left waiting while a session that can run it asks for more.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/queue/job_queue.h"

namespace fairlead::sim {

// Thread-compatible. Made for lanes of a few jobs: a check is O(jobs · sessions).
class CheckedLane final : public queue::JobQueue {
 public:
  // `inner` is empty; it and `clock`, which is the lane's, outlive this. `newly_finished` returns
  // what the lane has told about ended jobs since it was last called.
  CheckedLane(queue::JobQueue* inner, const Clock* clock,
              std::function<std::vector<store::v1::JobFinished>()> newly_finished);

  absl::StatusOr<std::vector<bool>> EnqueueBatch(const std::vector<queue::NewJob>& jobs) override;
  absl::StatusOr<queue::TickResponse> Tick(const queue::TickRequest& request) override;
  absl::StatusOr<std::vector<queue::Lease>> Mine(absl::string_view session) override;
  absl::StatusOr<int> Reap(int limit) override;
  absl::Status Cancel(absl::string_view job) override;
  absl::StatusOr<std::vector<absl::Status>> ReplayAll(
      const std::vector<std::string>& jobs) override;
  absl::StatusOr<std::vector<absl::Status>> Purge(const std::vector<std::string>& jobs) override;
  absl::StatusOr<int> SetDrain(absl::string_view session, bool drain) override;
  absl::Status SetLimits(absl::string_view flow, const queue::FlowLimits& limits) override;
  absl::Status SetRetention(const queue::Retention& retention) override;
  absl::StatusOr<store::v1::JobRecord> Find(absl::string_view job) override;
  absl::StatusOr<queue::JobView> Inspect(absl::string_view job) override;
  absl::StatusOr<std::vector<queue::LaneStats>> Stats() override;
  absl::StatusOr<std::vector<queue::SessionView>> Sessions(int limit) override;
  absl::StatusOr<queue::DeadPage> SearchDead(const queue::DeadQuery& query) override;

  // The first thing that was wrong; "" while all is well.
  const std::string& violation() const { return violation_; }
  // Compares everything. With `fingerprint` also writes it down, for comparison with another lane.
  void CheckAll(std::string* fingerprint);
  // A token as the number of the lease it came with: real ones are random.
  std::string NameOf(const std::string& token) const;
  // The clock has moved: what rates let through since.
  void TimePassed(absl::Duration by);

 private:
  struct Job {
    queue::NewJob asked;
    std::string flow, job_class;
    queue::JobState state = queue::JobState::kReady;
    int32_t attempts = 0, crashes = 0;
    std::string error, note, token;
    store::v1::JobResult result;
    int64_t when = 0;        // kDelayed: due; kDone, kDead: the end.
    bool unsure = false;     // Due, and perhaps woken.
    bool may_leave = false;  // Its retention has passed.
  };
  struct Grant {
    std::string session, job;
    bool live = true;  // Else the job was cancelled, and its holder not yet rid of it.
  };
  struct Session {
    int64_t expiry = 0;
    bool drain = false;
  };
  struct Flow {
    queue::FlowLimits limits;
    int64_t leased = 0, waiting = 0;
    double credit = 0;  // What its rate lets through at most.
  };

  void Expect(bool holds, const std::string& what);
  int64_t Now() const;
  Job* JobOf(const std::string& id);
  Grant* GrantOf(const std::string& session, const std::string& token);
  void ToReady(Job& job);
  void End(Job& job, bool dead, const std::string& error);
  void Fail(Job& job, const queue::Nack& nack);
  std::vector<std::string> Settle(const queue::TickRequest& request);
  int WakeDue(bool all);
  void Grants(const queue::TickRequest& request, const queue::TickResponse& response);
  void CheckOrder(const queue::TickRequest& request, const queue::TickResponse& response);
  bool MayRun(const Job& job, const queue::TickRequest& request);
  void CheckTold();
  void CheckJob(const std::string& id, Job& job, std::string* fingerprint);
  void CheckCounts(std::string* fingerprint);
  void CheckSessions(std::string* fingerprint);
  std::vector<absl::Status> ForDead(const std::vector<std::string>& jobs, bool replay);
  void CheckStatuses(const std::vector<absl::Status>& must, const std::vector<absl::Status>& are,
                     const char* verb);

  queue::JobQueue* const inner_;
  const Clock* const clock_;
  const std::function<std::vector<store::v1::JobFinished>()> newly_finished_;
  std::map<std::string, Job> jobs_;
  std::map<std::string, Grant> grants_;  // By token, until they are given back.
  std::map<std::string, int> tokens_;    // Every one there ever was.
  std::map<std::string, Session> sessions_;
  std::set<std::string> known_;  // Sessions that the callers believe in.
  std::map<std::string, Flow> flows_;
  std::map<std::string, int64_t> done_;  // By kind, for ever.
  std::set<std::string> classes_;
  std::vector<store::v1::JobFinished> told_;  // What must have been told.
  queue::Retention retention_;
  bool drain_all_ = false;
  std::string violation_;
};

}  // namespace fairlead::sim
