// The fair order of the machine lane in memory, part of its twin: what lua/lane3.*.lua does with
// its queues, flows and classes, decision by decision, over plain containers. Times are Unix ms.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/queue/job_queue.h"

namespace fairlead::queue {

// Thread-compatible.
class MemoryFlows {
 public:
  struct Flow {
    FlowLimits limits;
    int64_t leased = 0;
    int64_t waiting = 0;  // Ready and delayed.
    double tokens = 0;
    int64_t filled_ms = 0;
    std::vector<int> parked;  // Classes whose queue of this flow is out of the order.
  };
  struct Chosen {
    std::string job;
    std::string flow;
    int job_class = 0;
  };
  enum class End { kTail, kHead };

  // From 1; a class gets its number when it is first asked for.
  int ClassNumber(const std::string& name);
  // 0 when nobody has asked for it.
  int FindClass(const std::string& name) const;
  const std::string& ClassName(int number) const { return classes_[number - 1].name; }
  int class_count() const { return static_cast<int>(classes_.size()); }
  Flow& flow(const std::string& name) { return flows_[name]; }

  void Push(int job_class, const std::string& flow, int priority, absl::Time deadline,
            const std::string& job, End end, int64_t now);
  // Takes a waiting job out of its queue.
  void Remove(int job_class, const std::string& flow, int priority, absl::Time deadline,
              const std::string& job);
  // Up to `want` jobs of the classes in fair order. Counts them as leased.
  std::vector<Chosen> Choose(const std::vector<int>& classes, int want, int64_t now);
  // One job of the flow is leased no more.
  void Release(const std::string& flow);
  // The flow's queues stand in the order again.
  void Unpark(const std::string& flow);
  void SetLimits(const std::string& flow, const FlowLimits& limits, int64_t now);
  // Since the queue to be served next of a class was served or began to wait; 0 when none waits.
  int64_t Wait(int job_class, int64_t now) const;
  // Whether the flow's rate lets no job through now.
  bool RateSpent(const std::string& flow, int64_t now);

  // Due times of delayed jobs ("j" and the id) and of flows whose rate is spent ("f" and the flow).
  std::set<std::pair<int64_t, std::string>>& due() { return due_; }

 private:
  struct Part {
    std::set<std::pair<int64_t, std::string>> dated;  // By deadline.
    std::deque<std::string> plain;
  };
  struct Queue {
    double pass = 0;
    int64_t served = 0;
    bool ordered = false;
    std::map<int, Part, std::greater<int>> parts;
    size_t n = 0;
  };
  struct Class {
    std::string name;
    double time = 0;
  };
  using QueueKey = std::pair<int, std::string>;

  Queue& QueueOf(int job_class, const std::string& flow, int64_t now);
  int64_t Allowed(Flow* flow, int64_t n, int64_t now);
  void Park(const QueueKey& key, Flow* flow);
  // A member is due once: at the time that was said last.
  void WakeAt(int64_t due, const std::string& member);
  // The queue to serve next of the class and how many jobs of it may go.
  std::optional<std::pair<QueueKey, int64_t>> Front(int job_class, int64_t now);
  std::vector<std::string> Take(Queue* queue, size_t n);

  std::vector<Class> classes_;
  std::map<std::string, Flow> flows_;
  std::map<QueueKey, Queue> queues_;
  std::set<std::pair<int64_t, std::string>> due_;
};

}  // namespace fairlead::queue
