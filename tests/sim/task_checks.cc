// TaskSimulation, the checking half: what must hold after every step, whatever happened.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/hash.h"
#include "tests/sim/task_simulation.h"

namespace fairlead::sim {

using store::TaskState;
using store::v1::Placement;
using v1::Task;

namespace {

bool IsLive(const Placement& place) {
  return place.state() == Placement::OFFERED || place.state() == Placement::ACCEPTED;
}

// All of a task, whatever order its store keeps places in.
std::string TextOf(const TaskState& task) {
  std::vector<std::string> parts = {
      absl::StrCat(Task::State_Name(task.state), " ", task.version, " ", task.want, " ", task.have,
                   " ", task.open, " ", task.reports, " ", task.end_reason),
      task.record.SerializeAsString(), task.has_label ? task.label.SerializeAsString() : "",
      task.has_prelabel ? task.prelabel.SerializeAsString() : ""};
  std::vector<std::string> places;
  for (const Placement& place : task.places) places.push_back(place.SerializeAsString());
  std::sort(places.begin(), places.end());
  parts.insert(parts.end(), places.begin(), places.end());
  for (const auto& annotation : task.annotations) parts.push_back(annotation.SerializeAsString());
  return absl::StrJoin(parts, "\n");
}

}  // namespace

void TaskSimulation::Violated(const std::string& what) {
  if (violation_.empty()) violation_ = what;
}

const Placement* TaskSimulation::PlaceIn(const TaskState& state,
                                         const std::string& contractor) const {
  for (const Placement& place : state.places) {
    if (place.contractor() == contractor) return &place;
  }
  return nullptr;
}

// G3: what was done under a token was done by whom the place was given to under that token.
void TaskSimulation::CheckGrant(const Grant& grant, const char* verb) {
  const auto state = inner_->Load(RefOf(grant.task));
  const Placement* place = state.ok() ? PlaceIn(*state, grant.contractor) : nullptr;
  if (place == nullptr || place->token() != grant.token) {
    Violated(absl::StrCat("G3: ", verb,
                          " went through under a token that is not the place's: ", grant.token));
  }
}

// G1: what has ended stays as it ended, but for a replay from the dead letters. G2: an accepted
// answer stays, unchanged.
void TaskSimulation::CheckPermanence(const Known& known, const TaskState& now) {
  if (known.last.has_value()) {
    const TaskState& last = *known.last;
    const bool replayed = last.state == Task::DEAD && known.replayed;
    if (IsTerminal(last.state) && now.state != last.state && !replayed) {
      Violated(absl::StrCat("G1: ", known.id, " left the end ", Task::State_Name(last.state)));
    }
    if (now.version < last.version) Violated(absl::StrCat(known.id, " went back in version"));
    if (now.annotations.size() < last.annotations.size()) {
      Violated(absl::StrCat("G2: an answer of ", known.id, " is gone"));
    }
  }
  for (const auto& [contractor, receipt] : known.receipts) {
    const auto same = [&, c = &contractor](const store::v1::AnnotationRecord& record) {
      return record.contractor() == *c;
    };
    const auto found = std::find_if(now.annotations.begin(), now.annotations.end(), same);
    if (found == now.annotations.end() || found->SerializeAsString() != receipt) {
      Violated(absl::StrCat("G2: the answer of ", contractor, " to ", known.id,
                            " is not what its receipt says"));
    }
    if (std::count_if(now.annotations.begin(), now.annotations.end(), same) > 1) {
      Violated(absl::StrCat("G2: two answers of ", contractor, " to ", known.id));
    }
  }
}

void TaskSimulation::CheckPlaces(const Known& known, const TaskState& now) {
  int live = 0, submitted = 0, accepted = 0, overdue = 0;
  for (const Placement& place : now.places) {
    accepted += place.state() == Placement::ACCEPTED ? 1 : 0;
    overdue += place.state() == Placement::OVERDUE ? 1 : 0;
    live += IsLive(place) ? 1 : 0;
    submitted += place.state() == Placement::SUBMITTED ? 1 : 0;
  }
  const int answers = static_cast<int>(now.annotations.size());
  const bool ended = IsTerminal(now.state);
  if (now.open != live) Violated(absl::StrCat(known.id, ": open is not its live places"));
  if (ended && live > 0) Violated(absl::StrCat(known.id, " has ended with work out"));
  if (now.have != answers || submitted != answers) {
    Violated(absl::StrCat("G2: ", known.id, " counts ", now.have, " answers of ", submitted,
                          " places and has ", answers));
  }
  if (!ended && (now.have + accepted > now.want + known.spare ||
                 now.have + now.open > now.want + known.over + known.spare)) {
    Violated(absl::StrCat("G3: more places of ", known.id, " are given than wanted"));
  }
  if (!ended && overdue > std::max(0, now.want - now.have - now.open)) {
    Violated(absl::StrCat(known.id, ": more work is overdue than places are free"));
  }
  if (!ended && now.state != Task::DELAYED &&
      (now.state == Task::OPEN) != (now.have + now.open > 0)) {
    Violated(absl::StrCat(known.id, " is in a state that its counters deny"));
  }
}

void TaskSimulation::CheckTask(Known& known, std::string* fingerprint) {
  auto now = inner_->Load({project_, known.id});
  if (!now.ok()) {
    if (!absl::IsNotFound(now.status())) Violated(absl::StrCat("unreadable: ", known.id));
    const bool existed = known.acknowledged || known.last.has_value();
    if (existed && !known.leaving) Violated(absl::StrCat("G1: ", known.id, " is lost"));
    known.gone = existed;
    return;
  }
  if (known.gone) Violated(absl::StrCat(known.id, " is back from the archive"));
  CheckPermanence(known, *now);
  CheckPlaces(known, *now);
  if (!IsTerminal(now->state)) {
    known.replayed = false;
    known.leaving = false;
  }
  if (fingerprints_) absl::StrAppend(fingerprint, known.id, " ", TextOf(*now), "\n");
  known.last = *std::move(now);
}

// G4, after every step: the counts are those of the tasks, wherever they are.
void TaskSimulation::CheckCounts(std::string* fingerprint) {
  const auto counts = inner_->Counts(project_);
  if (!counts.ok()) return Violated("the counts cannot be read");
  int64_t submitted = 0, answers = 0;
  std::map<Task::State, int64_t> by_state;
  for (const Known& known : known_) {
    if (!known.last.has_value()) continue;
    ++submitted;
    ++by_state[known.last->state];
    answers += known.last->have;
  }
  const std::vector<int64_t> are = {counts->submitted, counts->ready,     counts->delayed,
                                    counts->open,      counts->completed, counts->cancelled,
                                    counts->expired,   counts->dead,      counts->annotations};
  const std::vector<int64_t> must = {submitted,
                                     by_state[Task::READY],
                                     by_state[Task::DELAYED],
                                     by_state[Task::OPEN],
                                     by_state[Task::COMPLETED],
                                     by_state[Task::CANCELLED],
                                     by_state[Task::EXPIRED],
                                     by_state[Task::DEAD],
                                     answers};
  if (are != must) {
    Violated(
        absl::StrCat("G4: counted ", absl::StrJoin(are, ","), " of ", absl::StrJoin(must, ",")));
  }
  if (fingerprints_) absl::StrAppend(fingerprint, absl::StrJoin(are, ","));
}

void TaskSimulation::CheckAll() {
  std::string fingerprint;
  for (Known& known : known_) CheckTask(known, &fingerprint);
  CheckCounts(&fingerprint);
  if (fingerprints_ && !trace_.empty()) {
    absl::StrAppend(&trace_.back(), " #", absl::Hex(StableHash64(fingerprint)));
  }
}

absl::Status RunSeed(uint64_t seed, int steps, store::TaskStore* store, SimulatedClock* clock) {
  TaskSimulation simulation(seed, store, clock, /*fingerprints=*/false);
  for (int i = 0; i < steps; ++i) {
    const absl::Status step = simulation.Step();
    if (step.ok()) continue;
    return absl::InternalError(absl::StrCat("seed ", seed, ", step ", i, ": ", step.message(),
                                            "\nreplay it alone with ", "FAIRLEAD_SIM_SEED=", seed,
                                            "\n", absl::StrJoin(simulation.trace(), "\n")));
  }
  return absl::OkStatus();
}

}  // namespace fairlead::sim
