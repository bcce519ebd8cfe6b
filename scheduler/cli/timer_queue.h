// Runs functions at times, on one thread, in order of time.
#pragma once

#include <functional>
#include <map>
#include <thread>

#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace fairlead::cli {

// Thread-safe. Functions must be short and must not destroy the queue.
class TimerQueue {
 public:
  TimerQueue();
  ~TimerQueue();  // What is not yet due never runs.
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  void RunAt(absl::Time when, std::function<void()> function);
  void RunAfter(absl::Duration delay, std::function<void()> function);
  // Drops what waits; the function that runs at this moment is waited for.
  void Stop();

 private:
  void Loop();

  Mutex mu_;
  CondVar changed_;
  std::multimap<absl::Time, std::function<void()>> waiting_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace fairlead::cli
