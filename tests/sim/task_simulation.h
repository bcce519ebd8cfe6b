// A seeded history of one project: a producer, contractors, deciding loops and the clock, over a
// connection that loses requests and replies; calls come twice and late, callers crash and forget
// what they were about. After every step everything is checked against what was seen before.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "scheduler/store/task_store.h"
#include "tests/fakes/faulty_task_store.h"
#include "tests/sim/dice.h"

namespace fairlead::sim {

inline bool IsTerminal(v1::Task::State state) {
  return state == v1::Task::COMPLETED || state == v1::Task::CANCELLED ||
         state == v1::Task::EXPIRED || state == v1::Task::DEAD;
}

// All that happens is a function of the seed and of what the store answers.
class TaskSimulation {
 public:
  // `store` must be empty; it and `clock` outlive this.
  // With `fingerprints` the trace tells all of the state, for a comparison of two stores.
  TaskSimulation(uint64_t seed, store::TaskStore* store, SimulatedClock* clock, bool fingerprints);

  // One step, then every check. Not OK: what was violated, and how.
  absl::Status Step();
  // What was done and answered, one line a step.
  const std::vector<std::string>& trace() const { return trace_; }

 private:
  // A grant that was once given, or asked for: tokens never end to be tried.
  struct Grant {
    int task = 0;
    std::string contractor, token;
  };
  struct Known {
    std::string id;
    bool acknowledged = false;
    bool leaving = false;                         // It may have been archived.
    bool gone = false;                            // It was.
    bool replayed = false;                        // It may have been, since it was last seen dead.
    std::optional<store::TaskState> last;         // As it was after the last step.
    std::optional<store::TaskState> read;         // As the collector read it, perhaps long ago.
    int over = 0, spare = 0;                      // The most that an offer of it was made with.
    std::map<std::string, std::string> receipts;  // By contractor: the first one, serialized.
    std::map<std::string, std::string> surplus;   // The same, of work finished after the end.
  };
  struct Request {
    std::vector<std::string> tasks;  // As acknowledged; empty until then.
  };
  // A call that can be made again as it is. Returns what it says in the trace.
  using Call = std::function<std::string()>;

  void Do(const std::string& what, Call call);
  std::string Said(const absl::Status& status);
  store::TaskRef RefOf(int task) const { return {project_, known_[task].id}; }

  Grant AnyGrant();
  int AnyTask() { return dice_.Below(static_cast<int>(known_.size())); }
  std::string AnyContractor() { return std::string(1, static_cast<char>('a' + dice_.Below(4))); }
  std::vector<store::v1::TaskRecord> NewTasks();
  const store::v1::Placement* PlaceIn(const store::TaskState& state,
                                      const std::string& contractor) const;

  void Submit();
  void SubmitAgain();
  void Offer();
  void Accept();
  void Extend();
  void Release();
  void TakeDue();
  void Annotate();
  void Decide();
  void End();
  void Prelabel();
  void StartDue();
  void Replay();
  void Archive();
  void PassTime();
  void Redeliver();
  std::string SubmitRequest(int request, const std::string& body,
                            const std::vector<store::v1::TaskRecord>& tasks);
  std::string AnnotateAs(const Grant& grant, const store::v1::AnnotationRecord& record);

  bool HasMovedOn(int task, int64_t version) const;

  // Checks; each tells Violated.
  void Violated(const std::string& what);
  void CheckGrant(const Grant& grant, const char* verb);
  void CheckAll();
  void CheckTask(Known& known, std::string* fingerprint);
  void CheckPermanence(const Known& known, const store::TaskState& now);
  void CheckPlaces(const Known& known, const store::TaskState& now);
  void CheckCounts(std::string* fingerprint);

  const std::string project_ = "acme/sim";
  Dice dice_;
  store::TaskStore* const inner_;
  SimulatedClock* const clock_;
  testing::FaultyTaskStore store_;
  std::vector<Known> known_;
  std::vector<Request> requests_;
  std::vector<Grant> grants_;
  std::vector<std::pair<std::string, Call>> lost_;  // Without a reply; may come again.
  std::vector<std::string> trace_;
  std::string violation_;
  const bool fingerprints_;
  int serial_ = 0;  // Of ids, tokens and texts.
};

// Runs `steps` of one seed. Not OK: the violation, the seed, and the whole trace.
absl::Status RunSeed(uint64_t seed, int steps, store::TaskStore* store, SimulatedClock* clock);

}  // namespace fairlead::sim
