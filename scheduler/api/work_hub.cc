#include "scheduler/api/work_hub.h"

#include <algorithm>
#include <map>
#include <utility>

#include "common/base/log.h"
#include "scheduler/api/convert.h"
#include "scheduler/api/names.h"

namespace fairlead::api {
namespace {

constexpr size_t kMostForeseen = 16'384;

bool IsOffer(const store::v1::Event& event) {
  return event.has_placement() && event.placement().state() == store::v1::Placement::OFFERED;
}

}  // namespace

void WorkSubscription::Deliver(v1::WorkResponse response) {
  MutexLock lock(&mu_);
  if (send_) send_(std::move(response));
}

void WorkSubscription::Close() {
  MutexLock lock(&mu_);
  send_ = nullptr;
}

void WorkSubscription::set_credit(int32_t credit) {
  MutexLock lock(&mu_);
  credit_ = credit;
}

int32_t WorkSubscription::credit() const {
  MutexLock lock(&mu_);
  return credit_;
}

void WorkHub::Deliver(const std::string& contractor, const v1::WorkResponse& response,
                      uint64_t first) {
  std::vector<std::shared_ptr<WorkSubscription>> streams;
  {
    MutexLock lock(&mu_);
    auto found = open_.find(contractor);
    if (found != open_.end()) streams = found->second;
  }
  for (const auto& stream : streams) {
    if (stream->number() >= first) stream->Deliver(response);
  }
}

void WorkHub::DeliverOffer(const store::v1::Event& event, uint64_t first) {
  const store::v1::Placement& place = event.placement();
  const absl::StatusOr<store::SharedProjectRecord> project =
      registry_->SharedProject(event.project());
  if (!project.ok()) return;
  v1::WorkResponse response;
  *response.mutable_offer() = ToOffer(**project, event.key(), place);
  Deliver(place.contractor(), response, first);
}

void WorkHub::Foresee(const store::v1::Event& event) {
  if (!IsOffer(event)) return;
  uint64_t first = 0;
  {
    MutexLock lock(&mu_);
    // Of those that Redis has lost; then an offer may be sent twice.
    if (foreseen_.size() >= kMostForeseen) foreseen_.clear();
    uint64_t& known = foreseen_[event.placement().assignment()];
    first = std::exchange(known, next_number_);
  }
  DeliverOffer(event, first);
}

void WorkHub::Apply(const store::v1::Event& event, int64_t) {
  v1::WorkResponse response;
  if (IsOffer(event)) {
    uint64_t first = 0;
    {
      MutexLock lock(&mu_);
      const auto found = foreseen_.find(event.placement().assignment());
      if (found != foreseen_.end()) {
        first = found->second;
        foreseen_.erase(found);
        if (first == next_number_) return;  // Nobody came since.
      }
    }
    DeliverOffer(event, first);
  } else if (event.has_placement()) {
    const store::v1::Placement& place = event.placement();
    if (place.state() == store::v1::Placement::LAPSED ||
        place.state() == store::v1::Placement::TAKEN ||
        place.state() == store::v1::Placement::OVERDUE) {
      response.set_withdrawn(AssignmentNameOf(event.project(), event.key(), place.assignment()));
      Deliver(place.contractor(), response);
    }
  } else if (event.has_completed() || event.has_ended()) {
    for (const store::v1::Placement& place : view_->LivePlacesOf(event.key())) {
      response.set_withdrawn(AssignmentNameOf(event.project(), event.key(), place.assignment()));
      Deliver(place.contractor(), response);
    }
  }
}

std::shared_ptr<WorkSubscription> WorkHub::Subscribe(const std::string& contractor,
                                                     WorkSubscription::Send send) {
  MutexLock lock(&mu_);
  auto subscription =
      std::make_shared<WorkSubscription>(contractor, next_number_++, std::move(send));
  open_[contractor].push_back(subscription);
  return subscription;
}

void WorkHub::Unsubscribe(const std::shared_ptr<WorkSubscription>& subscription) {
  subscription->Close();
  bool leaves = subscription->credit() > 0;
  {
    MutexLock lock(&mu_);
    auto& streams = open_[subscription->contractor()];
    streams.erase(std::remove(streams.begin(), streams.end(), subscription), streams.end());
    for (const auto& other : streams) leaves = leaves && other->credit() == 0;
    if (streams.empty()) open_.erase(subscription->contractor());
  }
  // Presence would end by itself; saying so keeps offers from lapsing with nobody there.
  if (leaves) homes_->SetPresence(subscription->contractor(), 0, kPresenceLifetime).IgnoreError();
}

void WorkHub::RunOnce() {
  std::map<std::string, int32_t> credits;
  {
    MutexLock lock(&mu_);
    for (const auto& [contractor, open] : open_) {
      for (const auto& stream : open) {
        if (stream->credit() > 0) credits[contractor] = stream->credit();
      }
    }
  }
  const absl::Status status = homes_->SetPresence(credits, kPresenceLifetime);
  if (!status.ok()) FAIRLEAD_LOG(WARNING) << "presence not renewed: " << status.message();
}

}  // namespace fairlead::api
