// Which contractor's stream is on this replica, and what goes down it. Fed by the events: an offer
// is committed in Redis first and is sent by whoever holds the contractor's stream. It is sent
// before it is on disk: whoever accepts does so at Redis, and where Redis loses both he is refused.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "fairlead/v1/contractor_service.pb.h"
#include "scheduler/dispatch/task_view.h"
#include "scheduler/store/event_codec.h"
#include "scheduler/store/home_store.h"
#include "scheduler/store/registry_view.h"

namespace fairlead::api {

// One open stream. `send` must not block.
class WorkSubscription {
 public:
  using Send = std::function<void(v1::WorkResponse)>;
  WorkSubscription(std::string contractor, uint64_t number, Send send)
      : contractor_(std::move(contractor)), number_(number), send_(std::move(send)) {}

  // Grows with each that the hub opens.
  uint64_t number() const { return number_; }
  // Does nothing after Close().
  void Deliver(v1::WorkResponse response);
  void Close();
  void set_credit(int32_t credit);
  int32_t credit() const;
  const std::string& contractor() const { return contractor_; }

 private:
  const std::string contractor_;
  const uint64_t number_;
  mutable Mutex mu_;
  Send send_ ABSL_GUARDED_BY(mu_);
  int32_t credit_ ABSL_GUARDED_BY(mu_) = 0;
};

// Thread-safe. Stands before the TaskView among the sinks: it asks the view who held an ended task.
class WorkHub final : public store::EventSink {
 public:
  WorkHub(const store::RegistryView* registry, const dispatch::TaskView* view,
          store::HomeStore* homes)
      : registry_(registry), view_(view), homes_(homes) {}

  void Apply(const store::v1::Event& event, int64_t position) override;
  void Foresee(const store::v1::Event& event) override;

  // Held until Unsubscribe; a newer stream of the same contractor is served beside the older. What
  // is offered from now on is delivered, whether or not the TaskView has it yet: who wants all of
  // it subscribes first and looks at the view then.
  std::shared_ptr<WorkSubscription> Subscribe(const std::string& contractor,
                                              WorkSubscription::Send send);
  void Unsubscribe(const std::shared_ptr<WorkSubscription>& subscription);

  // LOOP: keeps the presence of the open streams alive. Call it at least every 20 s.
  void RunOnce();

 private:
  // To the contractor's streams from number `first` on.
  void Deliver(const std::string& contractor, const v1::WorkResponse& response, uint64_t first = 0);
  void DeliverOffer(const store::v1::Event& event, uint64_t first);

  const store::RegistryView* const registry_;
  const dispatch::TaskView* const view_;
  store::HomeStore* const homes_;
  Mutex mu_;
  absl::flat_hash_map<std::string, std::vector<std::shared_ptr<WorkSubscription>>> open_
      ABSL_GUARDED_BY(mu_);
  uint64_t next_number_ ABSL_GUARDED_BY(mu_) = 0;
  // Offers that were sent before they are on disk, by assignment: the number of the first stream
  // that was not there yet.
  absl::flat_hash_map<std::string, uint64_t> foreseen_ ABSL_GUARDED_BY(mu_);
};

// How long a stream's presence lasts without being renewed.
constexpr absl::Duration kPresenceLifetime = absl::Seconds(60);

}  // namespace fairlead::api
