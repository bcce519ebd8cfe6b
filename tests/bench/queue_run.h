// What the cases of the queue benchmark share: a private redis-server, its counters, child
// processes that run the production queue, and the figures they give.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/queue/job_queue.h"
#include "common/queue/redis_job_queue.h"
#include "common/redis/connection.h"
#include "tests/support/redis_server.h"

namespace fairlead::bench {

struct Figure {
  std::string name;  // The case.
  std::string metric;
  double value = 0;
  std::string unit;
};

// Collects figures, prints each as a line of a table when it comes.
class Report {
 public:
  void Add(const std::string& name, const std::string& metric, double value,
           const std::string& unit);
  // 0 when there is none.
  double ValueOf(const std::string& name, const std::string& metric) const;
  // One JSON object a line.
  absl::Status WriteJson(const std::string& path) const;

 private:
  std::vector<Figure> figures_;
};

enum class Durability { kNone, kEverysec, kAlways };
const char* NameOf(Durability durability);

// A redis-server of its own with an open lane m0 and the functions loaded.
struct Server {
  std::unique_ptr<testing::RedisServer> process;
  std::unique_ptr<redis::ConnectionPool> pool;

  static absl::StatusOr<Server> Start(Durability durability);
  // The main thread's processor time so far, seconds.
  absl::StatusOr<double> CpuSeconds();
  // Commands that functions have called since the last reset.
  absl::StatusOr<double> InnerCommands();
  absl::Status ResetCounters();
  absl::StatusOr<int64_t> UsedMemory();
  // What the scheduler does for a lane's events: reads them and trims behind. Returns how many.
  absl::StatusOr<int> FollowEvents(int64_t* cursor);
};

// A job as the benchmark knows it: 128 bytes of payload unless said, in flow bench/p<project>.
queue::NewJob MakeJob(int64_t number, int project, const std::string& payload);
std::string MakePayload(size_t bytes);
queue::TickRequest MakeTick(const std::string& session, int want);

// A child process that runs `body` once Go() is called and reports numbers.
class Child {
 public:
  using Body = std::function<absl::StatusOr<std::vector<double>>()>;
  // Forks now; call it before the process has threads.
  static absl::StatusOr<std::unique_ptr<Child>> Fork(Body body);
  ~Child();
  void Go();
  bool Ended(absl::Duration wait);
  // Waits for the end; UNAVAILABLE with what the child said when it failed.
  absl::StatusOr<std::vector<double>> Result();

 private:
  Child(int pid, int go, int result) : pid_(pid), go_(go), result_(result) {}
  const int pid_;
  const int go_;
  const int result_;
};

}  // namespace fairlead::bench
