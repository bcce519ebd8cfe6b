#include "scheduler/cli/timer_queue.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace fairlead::cli {

TimerQueue::TimerQueue() : thread_([this] { Loop(); }) {}

TimerQueue::~TimerQueue() { Stop(); }

void TimerQueue::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    waiting_.clear();
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void TimerQueue::RunAt(absl::Time when, std::function<void()> function) {
  MutexLock lock(&mu_);
  if (stopping_) return;
  waiting_.emplace(when, std::move(function));
  changed_.NotifyAll();
}

void TimerQueue::RunAfter(absl::Duration delay, std::function<void()> function) {
  RunAt(absl::Now() + delay, std::move(function));
}

void TimerQueue::Loop() {
  mu_.Lock();
  while (!stopping_) {
    const absl::Time now = absl::Now();
    if (waiting_.empty() || waiting_.begin()->first > now) {
      const absl::Duration wait =
          waiting_.empty() ? absl::Seconds(1) : waiting_.begin()->first - now;
      const int64_t millis = std::clamp<int64_t>(absl::ToInt64Milliseconds(wait) + 1, 1, 1000);
      changed_.WaitFor(&mu_, std::chrono::milliseconds(millis));
      continue;
    }
    const std::function<void()> function = std::move(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    mu_.Unlock();
    function();
    mu_.Lock();
  }
  mu_.Unlock();
}

}  // namespace fairlead::cli
