// A machine lane behind a bad connection: some calls fail before their effect (the request was
// lost), some after it (the reply was lost). The caller sees UNAVAILABLE either way.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/queue/job_queue.h"
#include "tests/fakes/fault.h"

namespace fairlead::testing {

// As thread-safe as the queue inside and the plan are.
class FaultyJobQueue final : public queue::JobQueue {
 public:
  // `plan` is asked for every call; of a tick it sees the request, of others null.
  FaultyJobQueue(queue::JobQueue* inner, std::function<Fault(const queue::TickRequest*)> plan)
      : inner_(inner), plan_(std::move(plan)) {}

  absl::StatusOr<std::vector<bool>> EnqueueBatch(const std::vector<queue::NewJob>& jobs) override {
    return Run([&] { return inner_->EnqueueBatch(jobs); });
  }
  absl::StatusOr<queue::TickResponse> Tick(const queue::TickRequest& request) override {
    return Run([&] { return inner_->Tick(request); }, &request);
  }
  absl::StatusOr<std::vector<queue::Lease>> Mine(absl::string_view session) override {
    return Run([&] { return inner_->Mine(session); });
  }
  absl::StatusOr<int> Reap(int limit) override {
    return Run([&] { return inner_->Reap(limit); });
  }
  absl::Status Cancel(absl::string_view job) override {
    return Run([&] { return inner_->Cancel(job); });
  }
  absl::StatusOr<std::vector<absl::Status>> ReplayAll(
      const std::vector<std::string>& jobs) override {
    return Run([&] { return inner_->ReplayAll(jobs); });
  }
  absl::StatusOr<std::vector<absl::Status>> Purge(const std::vector<std::string>& jobs) override {
    return Run([&] { return inner_->Purge(jobs); });
  }
  absl::StatusOr<int> SetDrain(absl::string_view session, bool drain) override {
    return Run([&] { return inner_->SetDrain(session, drain); });
  }
  absl::Status SetLimits(absl::string_view flow, const queue::FlowLimits& limits) override {
    return Run([&] { return inner_->SetLimits(flow, limits); });
  }
  absl::Status SetRetention(const queue::Retention& retention) override {
    return Run([&] { return inner_->SetRetention(retention); });
  }
  absl::StatusOr<store::v1::JobRecord> Find(absl::string_view job) override {
    return Run([&] { return inner_->Find(job); });
  }
  absl::StatusOr<queue::JobView> Inspect(absl::string_view job) override {
    return Run([&] { return inner_->Inspect(job); });
  }
  absl::StatusOr<std::vector<queue::LaneStats>> Stats() override {
    return Run([&] { return inner_->Stats(); });
  }
  absl::StatusOr<std::vector<queue::SessionView>> Sessions(int limit) override {
    return Run([&] { return inner_->Sessions(limit); });
  }
  absl::StatusOr<queue::DeadPage> SearchDead(const queue::DeadQuery& query) override {
    return Run([&] { return inner_->SearchDead(query); });
  }

 private:
  template <typename Call>
  auto Run(Call&& call, const queue::TickRequest* tick = nullptr) -> decltype(call()) {
    const absl::Status lost =
        Error(absl::StatusCode::kUnavailable, "STORE_UNAVAILABLE", "the connection broke");
    const Fault fault = plan_(tick);
    if (fault == Fault::kBefore) return lost;
    auto result = call();
    if (fault == Fault::kAfter) return lost;
    return result;
  }

  queue::JobQueue* const inner_;
  const std::function<Fault(const queue::TickRequest*)> plan_;
};

}  // namespace fairlead::testing
