// A fixed number of threads that run what is handed to them, in order of arrival. For work that
// blocks and must not block a gRPC reactor.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/thread_name.h"

namespace fairlead {

// Thread-safe.
class Executor {
 public:
  Executor(const char* name, int threads) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this, name] {
        NameThread(name);
        Run();
      });
    }
  }
  // Runs what was handed over before, then ends.
  ~Executor() {
    {
      MutexLock lock(&mu_);
      stopping_ = true;
      ready_.NotifyAll();
    }
    for (std::thread& thread : threads_) thread.join();
  }

  void Add(std::function<void()> work) {
    MutexLock lock(&mu_);
    queue_.push_back(std::move(work));
    ready_.NotifyOne();
  }

 private:
  void Run() {
    while (true) {
      std::function<void()> work;
      {
        MutexLock lock(&mu_);
        while (queue_.empty() && !stopping_) ready_.Wait(&mu_);
        if (queue_.empty()) return;
        work = std::move(queue_.front());
        queue_.pop_front();
      }
      work();
    }
  }

  Mutex mu_;
  CondVar ready_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace fairlead
