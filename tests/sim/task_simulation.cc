#include "tests/sim/task_simulation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace fairlead::sim {

using store::TaskState;
using store::v1::Placement;
using v1::Task;

namespace {

constexpr int kTasks = 8;        // Ids a history knows at most.
constexpr int kLost = 8;         // Calls without a reply that are remembered.
constexpr int kLossPercent = 8;  // Of requests, and of replies.

std::string Seq(uint64_t seq) { return absl::StrCat("OK seq=", seq); }

}  // namespace

TaskSimulation::TaskSimulation(uint64_t seed, store::TaskStore* store, SimulatedClock* clock,
                               bool fingerprints)
    : dice_(seed),
      inner_(store),
      clock_(clock),
      store_(store,
             [this](int) {
               const int roll = dice_.Below(100);
               if (roll < kLossPercent) return testing::Fault::kBefore;
               return roll < 2 * kLossPercent ? testing::Fault::kAfter : testing::Fault::kNone;
             }),
      fingerprints_(fingerprints) {
  store::v1::ProjectRecord project;
  project.set_project(project_);
  project.mutable_settings()->set_backlog_cap(kTasks - 2);
  if (!inner_->PutProject(project, 0).ok()) Violated("the project cannot be put");
}

absl::Status TaskSimulation::Step() {
  using Action = void (TaskSimulation::*)();
  struct Weighted {
    int weight;
    Action action;
  };
  static constexpr Weighted kActions[] = {
      {15, &TaskSimulation::Offer},      {12, &TaskSimulation::Accept},
      {15, &TaskSimulation::Annotate},   {8, &TaskSimulation::Release},
      {3, &TaskSimulation::Extend},      {6, &TaskSimulation::TakeDue},
      {10, &TaskSimulation::Decide},     {2, &TaskSimulation::End},
      {3, &TaskSimulation::Prelabel},    {2, &TaskSimulation::StartDue},
      {2, &TaskSimulation::Replay},      {3, &TaskSimulation::Archive},
      {8, &TaskSimulation::PassTime},    {4, &TaskSimulation::Submit},
      {3, &TaskSimulation::SubmitAgain}, {4, &TaskSimulation::Redeliver},
  };
  if (known_.empty()) {
    Submit();
  } else {
    int roll = dice_.Below(100);
    for (const Weighted& one : kActions) {
      roll -= one.weight;
      if (roll < 0) {
        (this->*one.action)();
        break;
      }
    }
  }
  CheckAll();
  return violation_.empty() ? absl::OkStatus() : absl::InternalError(violation_);
}

std::string TaskSimulation::Said(const absl::Status& status) {
  if (status.ok()) return "OK";
  return absl::StrCat(absl::StatusCodeToString(status.code()), " ", ReasonOf(status));
}

void TaskSimulation::Do(const std::string& what, Call call) {
  const std::string said = call();
  trace_.push_back(absl::StrCat(trace_.size(), " ", what, " -> ", said));
  if (!absl::StartsWith(said, "UNAVAILABLE")) return;
  // Whoever called does not know. It may try again later, or crash and never do.
  if (lost_.size() < kLost && !dice_.Percent(25)) lost_.emplace_back(what, std::move(call));
}

void TaskSimulation::Redeliver() {
  if (lost_.empty()) return;
  const int i = dice_.Below(static_cast<int>(lost_.size()));
  auto [what, call] = std::move(lost_[static_cast<size_t>(i)]);
  lost_.erase(lost_.begin() + i);
  Do(absl::StrCat("again: ", what), std::move(call));
}

std::vector<store::v1::TaskRecord> TaskSimulation::NewTasks() {
  std::vector<store::v1::TaskRecord> tasks(1 + static_cast<size_t>(dice_.Below(2)));
  for (store::v1::TaskRecord& task : tasks) {
    task.set_task(absl::StrCat("t", ++serial_));
    task.set_project(project_);
    task.set_create_ms(absl::ToUnixMillis(clock_->Now()));
    task.set_expire_ms(task.create_ms() + int64_t{1000} * (1 + dice_.Below(7200)));
    if (dice_.Percent(20)) task.set_start_ms(task.create_ms() + int64_t{1000} * dice_.Below(120));
    task.set_want(1 + dice_.Below(3));
    known_.emplace_back().id = task.task();
  }
  return tasks;
}

std::string TaskSimulation::SubmitRequest(int request, const std::string& body,
                                          const std::vector<store::v1::TaskRecord>& tasks) {
  auto submitted = store_.Submit(project_, absl::StrCat("r", request), body, tasks);
  if (!submitted.ok()) return Said(submitted.status());
  Request& known = requests_[static_cast<size_t>(request)];
  if (!known.tasks.empty() && known.tasks != submitted->tasks) {
    Violated(absl::StrCat("request r", request, " was answered with other tasks"));
  }
  known.tasks = submitted->tasks;
  for (Known& task : known_) {
    const bool mine = std::count(known.tasks.begin(), known.tasks.end(), task.id) > 0;
    task.acknowledged = task.acknowledged || mine;
  }
  return absl::StrCat(Seq(submitted->seq), " ", absl::StrJoin(submitted->tasks, ","));
}

void TaskSimulation::Submit() {
  if (known_.size() + 2 > kTasks) return;
  const int request = static_cast<int>(requests_.size());
  requests_.emplace_back();
  Do(absl::StrCat("submit r", request),
     [this, request, tasks = NewTasks()] { return SubmitRequest(request, "body", tasks); });
}

// A replica that repeats a request makes new ids; the first ones must come back.
void TaskSimulation::SubmitAgain() {
  if (requests_.empty() || known_.size() + 2 > kTasks) return;
  const int request = dice_.Below(static_cast<int>(requests_.size()));
  const bool other = !requests_[static_cast<size_t>(request)].tasks.empty() && dice_.Percent(30);
  Do(absl::StrCat("submit again r", request, other ? " with another body" : ""),
     [this, request, other, tasks = NewTasks()] {
       std::string said = SubmitRequest(request, other ? "other" : "body", tasks);
       if (other && absl::StartsWith(said, "OK")) Violated("a request id took another body");
       return said;
     });
}

void TaskSimulation::Offer() {
  const Grant grant = {AnyTask(), AnyContractor(), absl::StrCat("k", ++serial_)};
  grants_.push_back(grant);
  store::OfferTerms terms = {RefOf(grant.task),
                             grant.contractor,
                             "as" + grant.token,
                             grant.token,
                             absl::Seconds(5 + dice_.Below(60)),
                             absl::Seconds(30 + dice_.Below(600)),
                             dice_.Percent(30) ? dice_.Below(3) : 0,
                             dice_.Percent(15) ? 1 : 0,
                             dice_.Percent(10)};
  Known& known = known_[grant.task];
  known.over = std::max(known.over, terms.over);
  known.spare = std::max(known.spare, terms.spare);
  Do(absl::StrCat("offer ", terms.ref.task, " to ", grant.contractor, " ", grant.token),
     [this, terms] {
       auto valid = store_.Offer(store_.topology().ShardOf(project_), {terms});
       return valid.ok() ? absl::StrCat("OK ", (*valid)[0]) : Said(valid.status());
     });
}

// Mostly a new one, which somebody may still hold; now and then any that ever was.
TaskSimulation::Grant TaskSimulation::AnyGrant() {
  const int all = static_cast<int>(grants_.size());
  const int from = dice_.Percent(75) ? std::max(0, all - 4) : 0;
  const auto at = static_cast<size_t>(from) + static_cast<size_t>(dice_.Below(all - from));
  return grants_[at];
}

void TaskSimulation::Accept() {
  if (grants_.empty()) return;
  const Grant grant = AnyGrant();
  Do(absl::StrCat("accept ", known_[grant.task].id, " by ", grant.contractor, " ", grant.token),
     [this, grant] {
       auto accepted = store_.Accept(RefOf(grant.task), grant.contractor, grant.token);
       if (!accepted.ok()) return Said(accepted.status());
       CheckGrant(grant, "accept");
       return absl::StrCat(Seq(accepted->seq), " until ", accepted->deadline_ms);
     });
}

void TaskSimulation::Extend() {
  if (grants_.empty()) return;
  const Grant grant = AnyGrant();
  Do(absl::StrCat("extend ", known_[grant.task].id, " by ", grant.contractor, " ", grant.token),
     [this, grant] {
       const auto before = inner_->Load(RefOf(grant.task));
       auto extended = store_.Extend(RefOf(grant.task), grant.contractor, grant.token);
       if (!extended.ok()) return Said(extended.status());
       CheckGrant(grant, "extend");
       const Placement* place = before.ok() ? PlaceIn(*before, grant.contractor) : nullptr;
       if (place == nullptr || place->state() != Placement::ACCEPTED ||
           extended->deadline_ms < place->deadline_ms() ||
           extended->deadline_ms > place->accepted_ms() + store::kMostWindows * place->work_ms()) {
         Violated("extended what is not accepted, or by less than nothing, or beyond the limit");
       }
       return absl::StrCat(Seq(extended->seq), " until ", extended->deadline_ms);
     });
}

void TaskSimulation::Release() {
  if (grants_.empty()) return;
  const Grant grant = AnyGrant();
  static constexpr Placement::State kTo[] = {Placement::DECLINED, Placement::RETURNED,
                                             Placement::REPORTED};
  const Placement::State to = kTo[dice_.Below(3)];
  Do(absl::StrCat("release ", known_[grant.task].id, " by ", grant.contractor, " ", grant.token,
                  " as ", Placement::State_Name(to)),
     [this, grant, to] {
       auto seq = store_.Release(RefOf(grant.task), grant.contractor, grant.token, to, "why");
       if (!seq.ok()) return Said(seq.status());
       CheckGrant(grant, "release");
       return Seq(*seq);
     });
}

void TaskSimulation::TakeDue() {
  if (grants_.empty()) return;
  const Grant grant = AnyGrant();
  Do(absl::StrCat("due ", known_[grant.task].id, " of ", grant.contractor), [this, grant] {
    auto seq = store_.Release(RefOf(grant.task), grant.contractor, "", Placement::LAPSED, "");
    return seq.ok() ? Seq(*seq) : Said(seq.status());
  });
}

std::string TaskSimulation::AnnotateAs(const Grant& grant,
                                       const store::v1::AnnotationRecord& record) {
  const auto before = inner_->Load(RefOf(grant.task));
  const Placement* place = before.ok() ? PlaceIn(*before, grant.contractor) : nullptr;
  const bool holds = place != nullptr && place->token() == grant.token &&
                     (place->state() == Placement::SUBMITTED ||
                      (place->state() == Placement::ACCEPTED && !IsTerminal(before->state)));
  auto annotated = store_.Annotate(RefOf(grant.task), grant.contractor, grant.token, record);
  if (!annotated.ok()) {
    // Late or not: whoever holds the place may fill it, and whoever filled it has a receipt.
    if (holds && !absl::IsUnavailable(annotated.status())) Violated("a holder was refused");
    return Said(annotated.status());
  }
  CheckGrant(grant, "annotate");
  Known& known = known_[grant.task];
  const bool surplus = annotated->record.surplus();
  if (surplus) annotated->record.clear_answer();
  const std::string receipt = annotated->record.SerializeAsString();
  auto& receipts = surplus ? known.surplus : known.receipts;
  const auto [first, is_first] = receipts.emplace(grant.contractor, receipt);
  if (surplus && known.receipts.contains(grant.contractor)) Violated("paid twice for one place");
  if (!is_first && first->second != receipt) Violated("a second receipt differs from the first");
  return absl::StrCat(Seq(annotated->seq), annotated->record.late() ? " late" : "",
                      surplus ? " surplus" : "");
}

void TaskSimulation::Annotate() {
  if (grants_.empty()) return;
  Grant grant = AnyGrant();
  if (dice_.Percent(5)) grant.token = "forged";
  store::v1::AnnotationRecord record;
  record.set_task(known_[grant.task].id);
  record.set_contractor(grant.contractor);
  record.set_token(grant.token);
  record.mutable_answer()->set_class_name(absl::StrCat("answer ", ++serial_));
  record.mutable_pay()->set_micros(1);
  Do(absl::StrCat("annotate ", record.task(), " by ", grant.contractor, " ", grant.token),
     [this, grant, record] { return AnnotateAs(grant, record); });
}

bool TaskSimulation::HasMovedOn(int task, int64_t version) const {
  const auto now = inner_->Load(RefOf(task));
  return !now.ok() || now->version != version;
}

// What the collector does, on what it read now or what it read before it was held up.
void TaskSimulation::Decide() {
  const int task = AnyTask();
  std::optional<TaskState>& seen = known_[task].read;
  if (dice_.Percent(60)) {
    auto now = store_.Load(RefOf(task));
    if (now.ok()) seen = *std::move(now);
  }
  if (!seen.has_value()) return;
  if (seen->have < seen->want) {
    Do(absl::StrCat("want more of ", known_[task].id, " v", seen->version),
       [this, task, version = seen->version,
        want = std::max(seen->want, std::min(seen->want + 1, 4))] {
         const bool moved_on = HasMovedOn(task, version);
         auto done = store_.SetWant(RefOf(task), version, want);
         if (moved_on && done.ok() && *done) Violated("more was wanted on an old version");
         return done.ok() ? absl::StrCat("OK ", *done) : Said(done.status());
       });
    return;
  }
  store::v1::LabelRecord label;
  label.set_task(known_[task].id);
  label.set_answers(seen->have);
  Do(absl::StrCat("complete ", label.task(), " v", seen->version),
     [this, task, version = seen->version, label] {
       const bool moved_on = HasMovedOn(task, version);
       auto done = store_.Complete(RefOf(task), version, label);
       if (moved_on && done.ok() && *done) Violated("completed on an old version");
       return done.ok() ? absl::StrCat("OK ", *done) : Said(done.status());
     });
}

void TaskSimulation::End() {
  static constexpr Task::State kStates[] = {Task::CANCELLED, Task::EXPIRED, Task::DEAD};
  const int task = AnyTask();
  const Task::State state = kStates[dice_.Below(3)];
  Do(absl::StrCat("end ", known_[task].id, " as ", Task::State_Name(state)), [this, task, state] {
    auto seq = store_.End(RefOf(task), state, "why");
    return seq.ok() ? Seq(*seq) : Said(seq.status());
  });
}

void TaskSimulation::Prelabel() {
  const int task = AnyTask();
  store::v1::PrelabelRecord record;
  record.set_model_version(absl::StrCat("m", ++serial_));
  Do(absl::StrCat("prelabel ", known_[task].id),
     [this, task, record] { return Said(store_.Prelabel(RefOf(task), record)); });
}

void TaskSimulation::StartDue() {
  const int task = AnyTask();
  Do(absl::StrCat("start ", known_[task].id),
     [this, task] { return Said(store_.Start(RefOf(task))); });
}

void TaskSimulation::Replay() {
  const int task = AnyTask();
  Do(absl::StrCat("replay ", known_[task].id), [this, task] {
    known_[task].replayed = true;
    auto seq = store_.Replay(RefOf(task), clock_->Now() + absl::Hours(1));
    return seq.ok() ? Seq(*seq) : Said(seq.status());
  });
}

void TaskSimulation::Archive() {
  const int task = AnyTask();
  const bool logged = dice_.Percent(80);
  const store::ArchiveTerms terms = {dice_.Percent(40),
                                     absl::ToUnixMillis(clock_->Now()) - dice_.Below(60'000),
                                     logged ? uint64_t{1} << 40 : 0};
  Do(absl::StrCat("archive ", known_[task].id), [this, task, terms] {
    Known& known = known_[task];
    const bool may = known.last.has_value() && IsTerminal(known.last->state) &&
                     terms.logged_seq > 0 && (known.last->state == Task::DEAD) == terms.dead;
    known.leaving = known.leaving || may;
    auto left = store_.Archive(RefOf(task), terms);
    if (left.ok() && *left && !may) Violated("a task left that must not");
    return left.ok() ? absl::StrCat("OK ", *left) : Said(left.status());
  });
}

void TaskSimulation::PassTime() {
  absl::Duration by = absl::Milliseconds(dice_.Below(20'000));
  if (dice_.Percent(20)) by = absl::Minutes(dice_.Below(20));
  if (dice_.Percent(5)) by = absl::Hours(3);
  if (dice_.Percent(10)) by = -absl::Seconds(dice_.Below(90));  // Clocks are set back, too.
  clock_->Advance(by);
  trace_.push_back(absl::StrCat(trace_.size(), " time ", absl::FormatDuration(by)));
}

}  // namespace fairlead::sim
