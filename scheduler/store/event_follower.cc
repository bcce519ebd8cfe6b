#include "scheduler/store/event_follower.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/thread_name.h"
#include "common/redis/keys.h"

namespace fairlead::store {
namespace {

// Events kept in a stream behind the log, for other readers.
constexpr uint64_t kKeepBehind = 10'000;
constexpr size_t kMostEvents = 512;  // Of a group.
constexpr absl::Duration kBlock = absl::Milliseconds(500);
constexpr absl::Duration kRetry = absl::Milliseconds(200);
// From one group of events to the next, on average over kGroupBurst: what comes meanwhile shares a
// read, a commit and a wake-up. Without load none waits.
constexpr absl::Duration kGroupGap = absl::Milliseconds(1);
constexpr absl::Duration kGroupBurst = absl::Milliseconds(16);

absl::Status NotDurableYet() {
  return Error(absl::StatusCode::kDeadlineExceeded, "NOT_DURABLE_YET",
               "the change is made but not yet durable; repeat the call to be sure");
}

}  // namespace

EventFollower::EventFollower(const redis::RedisOptions& redis, RecordLog* log, Gate* gate,
                             std::vector<EventSink*> sinks)
    : redis_(redis), log_(log), gate_(gate), sinks_(std::move(sinks)) {}

EventFollower::~EventFollower() { Stop(); }

void EventFollower::Add(absl::string_view name, uint64_t cursor) {
  auto slot = std::make_unique<Slot>();
  slot->name = std::string(name);
  slot->connection = std::make_unique<redis::Connection>(redis_);
  slot->cursor = cursor;
  slot->last_trim = cursor;
  MutexLock lock(&mu_);
  slots_.push_back(std::move(slot));
}

void EventFollower::Quiesce() {
  MutexLock lock(&mu_);
  for (auto& slot : slots_) {
    while (slot->busy) advanced_.WaitFor(&mu_, std::chrono::milliseconds(50));
  }
}

void EventFollower::Reset(absl::string_view name, uint64_t cursor) {
  {
    MutexLock lock(&mu_);
    if (Slot* slot = Find(name); slot != nullptr) slot->cursor = cursor;
    ++life_;
    advanced_.NotifyAll();
  }
  for (auto& slot : slots_) Settle(slot.get());
}

EventFollower::Slot* EventFollower::Find(absl::string_view name) const {
  for (const auto& slot : slots_) {
    if (slot->name == name) return slot.get();
  }
  return nullptr;
}

uint64_t EventFollower::Life() const {
  MutexLock lock(&mu_);
  return life_;
}

void EventFollower::Run() {
  for (auto& slot : slots_) slot->thread = std::thread([this, s = slot.get()] { Follow(s); });
}

void EventFollower::Stop() {
  stopping_.store(true);
  for (auto& slot : slots_) {
    if (slot->thread.joinable()) slot->thread.join();
    Settle(slot.get());
  }
}

void EventFollower::Follow(Slot* slot) {
  NameThread(absl::StrCat("follow-", slot->name));
  while (!stopping_.load()) {
    Settle(slot);
    {
      // Busy first, then a look at the gate: whoever closed it and finds nobody busy is alone.
      MutexLock lock(&mu_);
      slot->busy = gate_->open();
      if (!slot->busy) {
        advanced_.WaitFor(&mu_, std::chrono::milliseconds(20));
        continue;
      }
    }
    absl::Status status = FollowOnce(slot);
    {
      MutexLock lock(&mu_);
      slot->busy = false;
      advanced_.NotifyAll();
    }
    if (ReasonOf(status) == "RECORD_LOG_FULL") {
      // Nothing of what was read is logged, so it is read again; the log has told of it.
      gate_->Hold(slot->name, status);
    } else if (status.ok()) {
      gate_->Release(slot->name);
      continue;
    } else {
      FAIRLEAD_LOG(WARNING) << "event stream cannot be followed slot=" << slot->name << " error=\""
                            << status.message() << "\"";
      if (!absl::IsUnavailable(status)) gate_->Close();
    }
    // The other slots' news are no reason to try again.
    const absl::Time again = absl::Now() + kRetry;
    MutexLock lock(&mu_);
    while (!stopping_.load() && gate_->open() && absl::Now() < again) {
      advanced_.WaitFor(&mu_, std::chrono::milliseconds(20));
    }
  }
}

absl::Status EventFollower::FollowOnce(Slot* slot) {
  uint64_t cursor = 0;
  {
    MutexLock lock(&mu_);
    cursor = slot->cursor;
  }
  absl::StatusOr<std::string> incarnation = gate_->IncarnationToFollow(slot->name);
  if (!incarnation.ok()) return absl::OkStatus();
  ASSIGN_OR_RETURN(
      redis::Reply reply,
      slot->connection->BlockingCall({"XREAD", "COUNT", absl::StrCat(kMostEvents), "BLOCK",
                                      absl::StrCat(absl::ToInt64Milliseconds(kBlock)), "STREAMS",
                                      redis::EventsKey(slot->name), absl::StrCat(cursor, "-0")},
                                     kBlock));
  if (reply.is_nil() || reply.elements.empty()) return absl::OkStatus();
  slot->next_group = std::max(slot->next_group, absl::Now() - kGroupBurst) + kGroupGap;
  std::vector<v1::Event> events;
  for (const redis::Reply& entry : reply.elements[0].elements[1].elements) {
    ASSIGN_OR_RETURN(v1::Event event, DecodeEvent(slot->name, *incarnation, entry));
    if (event.seq() != cursor + events.size() + 1) {
      return absl::DataLossError(absl::StrCat("gap in the stream: ", cursor + events.size(),
                                              " is followed by ", event.seq()));
    }
    events.push_back(std::move(event));
  }
  for (const v1::Event& event : events) {
    for (EventSink* sink : sinks_) sink->Foresee(event);
  }
  std::vector<int64_t> positions;
  RETURN_IF_ERROR(Log(events, positions));
  // The views first: whoever waits for an event reads his own write afterwards.
  for (size_t i = 0; i < events.size(); ++i) {
    for (EventSink* sink : sinks_) sink->Apply(events[i], positions[i]);
  }
  {
    MutexLock lock(&mu_);
    slot->cursor = cursor + events.size();
  }
  Settle(slot);
  Trim(slot, cursor + events.size());
  if (events.size() < kMostEvents) absl::SleepFor(slot->next_group - absl::Now());
  return absl::OkStatus();
}

absl::Status EventFollower::Log(const std::vector<v1::Event>& events,
                                std::vector<int64_t>& positions) {
  std::vector<std::string> records;
  for (const v1::Event& event : events) {
    if (!IsVolatile(event)) records.push_back(event.SerializeAsString());
  }
  const absl::StatusOr<std::vector<int64_t>> appended = log_->AppendAll(records);
  if (ReasonOf(appended.status()) == "RECORD_LOG_FULL") return appended.status();
  // Going on would acknowledge what is not kept.
  if (!appended.ok()) FAIRLEAD_LOG(FATAL) << "record log: " << appended.status().message();
  if (!records.empty()) {
    if (absl::Status synced = log_->Sync(); !synced.ok()) {
      FAIRLEAD_LOG(FATAL) << "record log: " << synced.message();
    }
  }
  auto next = appended->begin();
  for (const v1::Event& event : events) positions.push_back(IsVolatile(event) ? -1 : *next++);
  return absl::OkStatus();
}

void EventFollower::Trim(Slot* slot, uint64_t cursor) {
  if (cursor < slot->last_trim + 1000 || cursor <= kKeepBehind) return;
  slot->last_trim = cursor;
  absl::Status trimmed = slot->connection
                             ->Call({"XTRIM", redis::EventsKey(slot->name), "MINID", "~",
                                     absl::StrCat(cursor - kKeepBehind, "-0")})
                             .status();
  if (!trimmed.ok()) {
    FAIRLEAD_LOG(WARNING) << "stream not trimmed slot=" << slot->name << " error=\""
                          << trimmed.message() << "\"";
  }
}

std::optional<absl::Status> EventFollower::Verdict(const Slot& slot, const Waiter& waiter,
                                                   const absl::Status& held, absl::Time now) const {
  if (waiter.life != life_) return NotDurableYet();
  if (slot.cursor >= waiter.seq) return absl::OkStatus();
  if (stopping_.load()) return absl::UnavailableError("the scheduler is shutting down");
  if (!held.ok()) return held;
  if (waiter.deadline <= now) return NotDurableYet();
  return std::nullopt;
}

void EventFollower::Settle(Slot* slot) {
  std::vector<std::pair<Waiter, absl::Status>> over;
  {
    const absl::Status held = gate_->Held();
    MutexLock lock(&mu_);
    if (slot->waiters.empty()) return;
    const absl::Time now = absl::Now();
    std::vector<Waiter> left;
    for (Waiter& waiter : slot->waiters) {
      std::optional<absl::Status> verdict = Verdict(*slot, waiter, held, now);
      if (verdict.has_value()) {
        over.emplace_back(std::move(waiter), *std::move(verdict));
      } else {
        left.push_back(std::move(waiter));
      }
    }
    slot->waiters = std::move(left);
  }
  for (auto& [waiter, status] : over) waiter.done(status);
}

void EventFollower::WhenDurable(const PendingChange& change, absl::Duration timeout,
                                std::function<void(const absl::Status&)> done) {
  if (change.seq == 0) return done(absl::OkStatus());
  const absl::Status held = gate_->Held();
  const absl::Time now = absl::Now();
  Waiter waiter{change.seq, change.life, now + timeout, std::move(done)};
  std::optional<absl::Status> verdict;
  {
    MutexLock lock(&mu_);
    Slot* slot = Find(change.slot);
    if (slot == nullptr) {
      verdict = absl::InternalError(absl::StrCat("slot ", change.slot, " is not followed"));
    } else {
      verdict = Verdict(*slot, waiter, held, now);
      if (!verdict.has_value()) {
        slot->waiters.push_back(std::move(waiter));
        return;
      }
    }
  }
  waiter.done(*verdict);
}

absl::Status EventFollower::AwaitDurable(const PendingChange& change, absl::Duration timeout) {
  struct Wait {
    Mutex mu;
    CondVar over;
    std::optional<absl::Status> status ABSL_GUARDED_BY(mu);
  };
  auto wait = std::make_shared<Wait>();
  const absl::Time deadline = absl::Now() + timeout;
  WhenDurable(change, timeout, [wait](const absl::Status& status) {
    MutexLock lock(&wait->mu);
    wait->status = status;
    wait->over.NotifyAll();
  });
  MutexLock lock(&wait->mu);
  while (!wait->status.has_value()) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return NotDurableYet();
    wait->over.WaitFor(&wait->mu, absl::ToChronoMilliseconds(left + absl::Milliseconds(1)));
  }
  return *wait->status;
}

uint64_t EventFollower::DurableSeq(absl::string_view name) const {
  MutexLock lock(&mu_);
  for (const auto& slot : slots_) {
    if (slot->name == name) return slot->cursor;
  }
  return 0;
}

uint64_t EventFollower::DurableTotal() const {
  MutexLock lock(&mu_);
  uint64_t total = 0;
  for (const auto& slot : slots_) total += slot->cursor;
  return total;
}

}  // namespace fairlead::store
