// A loop as a thread: repeats a RunOnce, sleeping between rounds that had nothing to do.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/thread_name.h"

namespace fairlead::scheduler {

class LoopThread {
 public:
  // `round` returns how much it did; after 0 or an error the thread waits for `idle` or Wake().
  LoopThread(std::string name, absl::Duration idle, std::function<absl::StatusOr<int>()> round)
      : name_(std::move(name)), idle_(idle), round_(std::move(round)), thread_([this] { Run(); }) {}
  ~LoopThread() {
    {
      MutexLock lock(&mu_);
      stopping_ = true;
      wake_.NotifyAll();
    }
    thread_.join();
  }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  void Wake() {
    MutexLock lock(&mu_);
    woken_ = true;
    wake_.NotifyAll();
  }

 private:
  void Run() {
    NameThread(name_);
    while (true) {
      absl::StatusOr<int> done = round_();
      if (!done.ok() && !absl::IsUnavailable(done.status())) {
        FAIRLEAD_LOG(WARNING) << "round failed loop=" << name_ << " error=\""
                              << done.status().message() << "\"";
      }
      MutexLock lock(&mu_);
      if (stopping_) return;
      // Only a call to Wake while the round ran, or work left, begins another at once.
      if ((!done.ok() || *done == 0) && !woken_)
        wake_.WaitFor(&mu_, absl::ToChronoMilliseconds(idle_));
      woken_ = false;
      if (stopping_) return;
    }
  }

  const std::string name_;
  const absl::Duration idle_;
  const std::function<absl::StatusOr<int>()> round_;
  Mutex mu_;
  CondVar wake_;
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // Last: starts when everything else is there.
};

}  // namespace fairlead::scheduler
