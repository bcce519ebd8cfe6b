#include "common/queue/memory_flows.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace fairlead::queue {
namespace {

constexpr double kCost = 128;  // Of a job at weight 1, in units of a pass.

int64_t DeadlineMs(absl::Time deadline) {
  return std::max<int64_t>(1, absl::ToUnixMillis(deadline));
}

}  // namespace

int MemoryFlows::FindClass(const std::string& name) const {
  for (size_t i = 0; i < classes_.size(); ++i) {
    if (classes_[i].name == name) return static_cast<int>(i) + 1;
  }
  return 0;
}

int MemoryFlows::ClassNumber(const std::string& name) {
  if (const int known = FindClass(name); known > 0) return known;
  classes_.push_back({name});
  return class_count();
}

MemoryFlows::Queue& MemoryFlows::QueueOf(int job_class, const std::string& flow, int64_t now) {
  const auto [at, fresh] = queues_.try_emplace({job_class, flow});
  if (fresh) {
    at->second.pass = classes_[job_class - 1].time;
    at->second.served = now;
  }
  return at->second;
}

void MemoryFlows::Push(int job_class, const std::string& flow, int priority, absl::Time deadline,
                       const std::string& job, End end, int64_t now) {
  Queue& queue = QueueOf(job_class, flow, now);
  if (queue.n == 0) {
    queue.pass = std::max(queue.pass, classes_[job_class - 1].time);
    queue.served = now;
    const std::vector<int>& parked = flows_[flow].parked;
    queue.ordered = std::find(parked.begin(), parked.end(), job_class) == parked.end();
  }
  Part& part = queue.parts[priority];
  if (deadline != absl::InfiniteFuture()) {
    part.dated.emplace(DeadlineMs(deadline), job);
  } else if (end == End::kHead) {
    part.plain.push_front(job);
  } else {
    part.plain.push_back(job);
  }
  ++queue.n;
}

int64_t MemoryFlows::Allowed(Flow* flow, int64_t n, int64_t now) {
  const FlowLimits& limits = flow->limits;
  if (limits.paused) return 0;
  if (limits.leased > 0) n = std::min(n, limits.leased - flow->leased);
  if (limits.per_second > 0) {
    flow->tokens = std::min(
        static_cast<double>(limits.burst),
        flow->tokens + static_cast<double>(now - flow->filled_ms) * limits.per_second / 1000);
    flow->filled_ms = now;
    n = std::min(n, static_cast<int64_t>(std::floor(flow->tokens + 1e-6)));
  }
  return std::max<int64_t>(n, 0);
}

bool MemoryFlows::RateSpent(const std::string& flow, int64_t now) {
  Flow one = flows_[flow];  // A copy: who asks changes nothing.
  Allowed(&one, 1, now);
  return one.limits.per_second > 0 && one.tokens < 1;
}

int64_t MemoryFlows::Wait(int job_class, int64_t now) const {
  const Queue* next = nullptr;
  for (const auto& [key, queue] : queues_) {
    if (key.first != job_class || !queue.ordered || queue.n == 0) continue;
    if (next == nullptr || queue.pass < next->pass) next = &queue;
  }
  return next == nullptr ? 0 : std::max<int64_t>(1, now - next->served);
}

void MemoryFlows::Park(const QueueKey& key, Flow* flow) {
  flow->parked.push_back(key.first);
  queues_[key].ordered = false;
}

void MemoryFlows::Unpark(const std::string& flow) {
  Flow& one = flows_[flow];
  for (const int job_class : one.parked) {
    Queue& queue = queues_[{job_class, flow}];
    queue.pass = std::max(queue.pass, classes_[job_class - 1].time);
    queue.ordered = true;
  }
  one.parked.clear();
}

void MemoryFlows::SetLimits(const std::string& flow, const FlowLimits& limits, int64_t now) {
  Flow& one = flows_[flow];
  if (one.limits.per_second == 0 && limits.per_second > 0) {
    one.tokens = static_cast<double>(limits.burst);
    one.filled_ms = now;
  }
  one.limits = limits;
  if (!limits.paused) Unpark(flow);
}

void MemoryFlows::Release(const std::string& flow) {
  Flow& one = flows_[flow];
  one.leased = std::max<int64_t>(0, one.leased - 1);
  const FlowLimits& limits = one.limits;
  if (!one.parked.empty() && !limits.paused && (limits.leased == 0 || one.leased < limits.leased) &&
      (limits.per_second == 0 || one.tokens >= 1)) {
    Unpark(flow);
  }
}

void MemoryFlows::Remove(int job_class, const std::string& flow, int priority, absl::Time deadline,
                         const std::string& job) {
  Queue& queue = queues_[{job_class, flow}];
  Part& part = queue.parts[priority];
  if (deadline != absl::InfiniteFuture()) {
    part.dated.erase({DeadlineMs(deadline), job});
  } else {
    part.plain.erase(std::find(part.plain.begin(), part.plain.end(), job));
  }
  if (part.dated.empty() && part.plain.empty()) queue.parts.erase(priority);
  --queue.n;
}

void MemoryFlows::WakeAt(int64_t due, const std::string& member) {
  const auto before =
      std::find_if(due_.begin(), due_.end(), [&](const auto& one) { return one.second == member; });
  if (before != due_.end()) due_.erase(before);
  due_.emplace(due, member);
}

std::optional<std::pair<MemoryFlows::QueueKey, int64_t>> MemoryFlows::Front(int job_class,
                                                                            int64_t now) {
  while (true) {
    auto best = queues_.end();
    for (auto at = queues_.begin(); at != queues_.end(); ++at) {
      if (at->first.first != job_class || !at->second.ordered) continue;
      // Names are in order: the first of equal passes stays.
      if (best == queues_.end() || at->second.pass < best->second.pass) best = at;
    }
    if (best == queues_.end()) return std::nullopt;
    Queue& queue = best->second;
    Flow& flow = flows_[best->first.second];
    if (queue.n == 0) {
      Class& one = classes_[job_class - 1];
      one.time = std::max(one.time, queue.pass);
      queues_.erase(best);
      continue;
    }
    if (const int64_t n = Allowed(&flow, kQuantum, now); n > 0) return {{best->first, n}};
    Park(best->first, &flow);
    if (!flow.limits.paused && flow.limits.per_second > 0 && flow.tokens < 1) {
      const double wait = std::ceil((1 - flow.tokens) * 1000 / flow.limits.per_second);
      WakeAt(now + static_cast<int64_t>(wait), absl::StrCat("f", best->first.second));
    }
  }
}

std::vector<std::string> MemoryFlows::Take(Queue* queue, size_t n) {
  std::vector<std::string> got;
  while (!queue->parts.empty() && got.size() < n) {
    Part& part = queue->parts.begin()->second;
    while (!part.dated.empty() && got.size() < n) {
      got.push_back(part.dated.begin()->second);
      part.dated.erase(part.dated.begin());
    }
    while (!part.plain.empty() && got.size() < n) {
      got.push_back(part.plain.front());
      part.plain.pop_front();
    }
    if (part.dated.empty() && part.plain.empty()) queue->parts.erase(queue->parts.begin());
  }
  queue->n -= got.size();
  return got;
}

std::vector<MemoryFlows::Chosen> MemoryFlows::Choose(const std::vector<int>& classes, int want,
                                                     int64_t now) {
  std::vector<Chosen> chosen;
  while (static_cast<int>(chosen.size()) < want) {
    std::optional<std::pair<QueueKey, int64_t>> best;
    int64_t urgency = 0;
    int able = 0;
    for (const int job_class : classes) {
      const auto front = Front(job_class, now);
      if (!front.has_value()) continue;
      ++able;
      const Queue& queue = queues_[front->first];
      const int64_t waits = now - queue.served + int64_t{1000} * queue.parts.begin()->first;
      if (best.has_value() && waits <= urgency) continue;
      best = front;
      urgency = waits;
    }
    if (!best.has_value()) break;
    const auto& [job_class, name] = best->first;
    Queue& queue = queues_[best->first];
    Flow& flow = flows_[name];
    const int64_t room = want - static_cast<int64_t>(chosen.size());
    const std::vector<std::string> jobs =
        Take(&queue, static_cast<size_t>(able > 1 ? 1 : std::min(best->second, room)));
    const auto n = static_cast<int64_t>(jobs.size());
    classes_[job_class - 1].time = queue.pass;
    queue.pass += static_cast<double>(n) * std::floor(kCost / flow.limits.weight);
    queue.served = now;
    flow.leased += n;
    flow.waiting -= n;
    if (flow.limits.per_second > 0) flow.tokens -= static_cast<double>(n);
    for (const std::string& job : jobs) chosen.push_back({job, name, job_class});
  }
  return chosen;
}

}  // namespace fairlead::queue
