#include "scheduler/dispatch/task_view.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/redis/keys.h"
#include "scheduler/store/redis_task_store.h"

namespace fairlead::dispatch {
namespace {

using store::v1::Placement;

// So much ahead of its time goes a task that the champion knows nothing about. The others wait no
// longer than that for it.
constexpr double kUnsureAheadMs = 600'000;
constexpr size_t kMostSeen = 8;  // Tasks looked at for each that is taken.
// Between two clocks, and until an event has come.
constexpr int64_t kLateEventsMs = 60'000;

bool IsLive(const Placement& place) {
  return place.state() == Placement::OFFERED || place.state() == Placement::ACCEPTED;
}

}  // namespace

TaskView::Rank TaskView::RankOf(const std::string& id, const LiveTask& task) {
  return {task.priority * 10'000'000'000'000LL + task.create_ms, id};
}

TaskView::Rank TaskView::TurnOf(const std::string& id, const LiveTask& task) {
  Rank turn = RankOf(id, task);
  if (!task.prelabel_version.empty()) {
    turn.first -= static_cast<int64_t>((1 - task.prelabel_confidence) * kUnsureAheadMs);
  }
  return turn;
}

void TaskView::Count(const LiveTask& task, int sign) {
  ProjectLoad& load = loads_[task.project];
  load.tasks += sign;
  if (task.gold) load.gold += sign;
  load.answers += sign * int64_t{task.have};
  load.held += sign * int64_t{task.open + task.overdue()};
}

std::set<TaskView::Rank>& TaskView::WantingOf(const LiveTask& task) {
  Wanting& wanting = wanting_[task.project];
  return task.gold ? wanting.gold : wanting.others;
}

void TaskView::Reindex(const std::string& id, const LiveTask& task) {
  std::set<Rank>& wanting = WantingOf(task);
  if (task.wants_offer()) {
    wanting.insert(TurnOf(id, task));
  } else {
    wanting.erase(TurnOf(id, task));
  }
}

void TaskView::Insert(const std::string& slot, const std::string& id, LiveTask task) {
  slot_of_[id] = slot;
  live_[task.project].insert(RankOf(id, task));
  for (const auto& [contractor, place] : task.places) {
    if (!IsLive(place)) continue;
    held_[contractor].insert(id);
    touched_.insert(contractor);
  }
  LiveTask& stored = tasks_[id] = std::move(task);
  Count(stored, +1);
  Reindex(id, stored);
}

void TaskView::Erase(const std::string& id) {
  auto found = tasks_.find(id);
  if (found == tasks_.end()) return;
  const LiveTask& task = found->second;
  Count(task, -1);
  WantingOf(task).erase(TurnOf(id, task));
  live_[task.project].erase(RankOf(id, task));
  for (const auto& [contractor, place] : task.places) {
    if (!IsLive(place)) continue;
    held_[contractor].erase(id);
    touched_.insert(contractor);
  }
  for (const auto& [contractor, assignment] : task.ahead) CountAhead(contractor, task, -1);
  tasks_.erase(found);
  slot_of_.erase(id);
}

void TaskView::CountAhead(const std::string& contractor, const LiveTask& task, int32_t by) {
  touched_.insert(contractor);
  Ahead& ahead = ahead_[contractor];
  ahead.offers += by;
  if (task.gold) ahead.gold += by;
  if (ahead.offers == 0) ahead_.erase(contractor);
}

void TaskView::DropAhead(LiveTask& task, const Placement& place) {
  const auto found = task.ahead.find(place.contractor());
  if (found == task.ahead.end() || found->second != place.assignment()) return;
  CountAhead(place.contractor(), task, -1);
  task.ahead.erase(found);
}

void TaskView::NoteOffered(const std::string& task, const std::string& contractor,
                           const std::string& assignment) {
  MutexLock lock(&mu_);
  const auto found = tasks_.find(task);
  if (found == tasks_.end()) return;
  LiveTask& live = found->second;
  const auto place = live.places.find(contractor);
  // Its event was faster.
  if (place != live.places.end() && place->second.assignment() == assignment) return;
  if (!live.ahead.try_emplace(contractor, assignment).second) return;
  CountAhead(contractor, live, 1);
  Reindex(task, live);
}

void TaskView::SetPlace(const std::string& id, LiveTask& task, const Placement& place) {
  task.places[place.contractor()] = place;
  touched_.insert(place.contractor());
  if (IsLive(place)) {
    held_[place.contractor()].insert(id);
    if (place.state() == Placement::OFFERED) {
      presence_[place.contractor()].last_offer_ms = place.offered_ms();
    }
  } else {
    held_[place.contractor()].erase(id);
  }
}

void TaskView::ApplyEnd(const store::v1::Event& event) {
  const auto found = tasks_.find(event.key());
  if (found == tasks_.end()) return;
  for (const auto& [contractor, place] : found->second.places) {
    if (place.state() != Placement::ACCEPTED || place.deadline_ms() < event.time_ms()) continue;
    unfinished_.Add({event.slot(), event.project(), place.assignment(), place.deadline_ms()});
  }
  Erase(event.key());
}

void TaskView::ApplyToTask(const store::v1::Event& event) {
  if (event.has_completed() || event.has_ended()) return ApplyEnd(event);
  if (event.has_orphaned()) unfinished_.Remove(event.orphaned().assignment());
  auto found = tasks_.find(event.key());
  if (found == tasks_.end()) return;
  LiveTask& task = found->second;
  Count(task, -1);
  task.want = event.want();
  task.have = event.have();
  task.open = event.open();
  if (event.has_placement()) {
    DropAhead(task, event.placement());
    SetPlace(event.key(), task, event.placement());
  }
  if (event.has_annotated()) {
    task.turns.Add(event.annotated().answer());
    Placement place = task.places[event.annotated().contractor()];
    place.set_contractor(event.annotated().contractor());
    place.set_state(Placement::SUBMITTED);
    place.set_deadline_ms(event.annotated().accept_ms());
    SetPlace(event.key(), task, place);
  }
  if (event.has_prelabelled()) {
    WantingOf(task).erase(TurnOf(event.key(), task));
    task.prelabel_version = event.prelabelled().model_version();
    task.prelabel_confidence = event.prelabelled().confidence();
  }
  if (event.has_promoted_due()) task.delayed = false;
  Count(task, +1);
  Reindex(event.key(), task);
}

// Those whose presence, scores or profile an event changes; places are noted where they change.
void TaskView::NoteContractors(const store::v1::Event& event) {
  if (event.has_contractor_put()) touched_.insert(event.contractor_put().contractor());
  if (event.has_presence()) touched_.insert(event.presence().contractor());
  for (const store::v1::Evidence& evidence : event.completed().evidence()) {
    touched_.insert(evidence.contractor());
  }
  for (const store::v1::Evidence& evidence : event.gold_retracted().evidence()) {
    touched_.insert(evidence.contractor());
  }
}

void TaskView::Apply(const store::v1::Event& event, int64_t) {
  MutexLock lock(&mu_);
  NoteContractors(event);
  auto loaded = loaded_seq_.find(event.slot());
  // Before the first load, and for what the load has seen already, there is nothing to do.
  if (loaded == loaded_seq_.end() || event.seq() <= loaded->second) return;
  if (event.has_tasks_submitted()) {
    for (const store::v1::TaskRecord& record : event.tasks_submitted().tasks()) {
      LiveTask task = LiveTaskOf(record);
      task.delayed = record.start_ms() > event.time_ms();
      Insert(event.slot(), record.task(), std::move(task));
    }
  } else if (event.has_presence()) {
    Presence& presence = presence_[event.presence().contractor()];
    if (presence.until_ms < event.time_ms()) presence.since_ms = event.time_ms();
    presence.credit = event.presence().credit();
    presence.until_ms = presence.credit > 0 ? event.presence().until_ms() : 0;
  } else if (!event.key().empty()) {
    ApplyToTask(event);
  }
  ++changes_;
  changed_.NotifyAll();
}

absl::Status TaskView::LoadShard(redis::ConnectionPool& pool, const std::string& slot) {
  // The sequence first: events after it are applied again to what is read later, which is harmless,
  // for they carry absolute counts.
  ASSIGN_OR_RETURN(redis::Reply seq, pool.Call({"GET", redis::SequenceKey(slot)}));
  ASSIGN_OR_RETURN(redis::Reply ids, pool.Call({"ZRANGE", redis::LiveKey(slot), "0", "-1"}));
  std::vector<std::pair<std::string, LiveTask>> loaded;
  constexpr size_t kBatch = 500;
  for (size_t begin = 0; begin < ids.elements.size(); begin += kBatch) {
    const size_t end = std::min(begin + kBatch, ids.elements.size());
    std::vector<redis::Arguments> commands;
    for (size_t i = begin; i < end; ++i) {
      commands.push_back({"HGETALL", redis::TaskKey(slot, ids.elements[i].text)});
      commands.push_back({"HGETALL", redis::PlacesKey(slot, ids.elements[i].text)});
    }
    ASSIGN_OR_RETURN(std::vector<redis::Reply> replies, pool.Pipeline(commands));
    for (size_t i = 0; i < replies.size(); i += 2) {
      store::TaskState state;
      if (!store::ParseTask(replies[i], state)) continue;  // Ended meanwhile and archived.
      store::ParsePlaces(replies[i + 1], state);
      loaded.emplace_back(state.record.task(), LiveTaskOf(state));
    }
  }
  ASSIGN_OR_RETURN(const std::vector<Unfinished> unfinished, ReadUnfinished(pool, slot));
  MutexLock lock(&mu_);
  unfinished_.RemoveSlot(slot);
  for (const Unfinished& work : unfinished) unfinished_.Add(work);
  std::vector<std::string> old;
  for (const auto& [id, its_slot] : slot_of_) {
    if (its_slot == slot) old.push_back(id);
  }
  for (const std::string& id : old) Erase(id);
  for (auto& [id, task] : loaded) Insert(slot, id, std::move(task));
  loaded_seq_[slot] = static_cast<uint64_t>(seq.AsInt());
  ++changes_;
  changed_.NotifyAll();
  return absl::OkStatus();
}

absl::Status TaskView::LoadHome(redis::ConnectionPool& pool, const std::string& slot) {
  ASSIGN_OR_RETURN(redis::Reply seq, pool.Call({"GET", redis::SequenceKey(slot)}));
  ASSIGN_OR_RETURN(std::vector<redis::Reply> replies,
                   pool.Pipeline({{"ZRANGE", redis::PresenceKey(slot), "0", "-1", "WITHSCORES"},
                                  {"HGETALL", redis::CreditKey(slot)}}));
  MutexLock lock(&mu_);
  for (size_t i = 0; i + 1 < replies[0].elements.size(); i += 2) {
    touched_.insert(replies[0].elements[i].text);
    presence_[replies[0].elements[i].text].until_ms = replies[0].elements[i + 1].AsInt();
  }
  for (size_t i = 0; i + 1 < replies[1].elements.size(); i += 2) {
    touched_.insert(replies[1].elements[i].text);
    presence_[replies[1].elements[i].text].credit =
        static_cast<int32_t>(replies[1].elements[i + 1].AsInt());
  }
  loaded_seq_[slot] = static_cast<uint64_t>(seq.AsInt());
  ++changes_;
  changed_.NotifyAll();
  return absl::OkStatus();
}

void TaskView::VisitWanting(
    size_t limit, const std::function<bool(const std::string&, const LiveTask&)>& visit) const {
  MutexLock lock(&mu_);
  for (const auto& [project, wanting] : wanting_) {
    for (const std::set<Rank>* ranks : {&wanting.gold, &wanting.others}) {
      size_t seen = 0, taken = 0;
      for (const Rank& rank : *ranks) {
        if (taken >= limit || seen++ >= kMostSeen * limit) break;
        if (visit(rank.second, tasks_.at(rank.second))) ++taken;
      }
    }
  }
}

void TaskView::VisitHeld(
    const std::function<void(const std::string&, const LiveTask&)>& visit) const {
  MutexLock lock(&mu_);
  for (const auto& [contractor, tasks] : held_) {
    for (const std::string& id : tasks) visit(id, tasks_.at(id));
  }
}

int32_t TaskView::FreeOf(const std::string& contractor, const Presence& presence) const {
  const auto held = held_.find(contractor);
  const auto ahead = ahead_.find(contractor);
  const int32_t holds = held == held_.end() ? 0 : static_cast<int32_t>(held->second.size());
  const int32_t offered = ahead == ahead_.end() ? 0 : ahead->second.offers;
  return std::max(0, presence.credit - holds - offered);
}

int32_t TaskView::GoldOpenOf(const std::string& contractor) const {
  const auto ahead = ahead_.find(contractor);
  int32_t gold = ahead == ahead_.end() ? 0 : ahead->second.gold;
  if (const auto held = held_.find(contractor); held != held_.end()) {
    for (const std::string& id : held->second) gold += tasks_.at(id).gold ? 1 : 0;
  }
  return gold;
}

std::vector<ContractorChange> TaskView::TakeChanged(int64_t now_ms) {
  MutexLock lock(&mu_);
  unfinished_.RemoveUntil(now_ms - kLateEventsMs);
  std::vector<ContractorChange> changes;
  changes.reserve(touched_.size());
  for (const std::string& contractor : touched_) {
    ContractorChange change;
    change.contractor = contractor;
    if (auto found = presence_.find(contractor); found != presence_.end()) {
      change.presence = found->second;
    }
    if (change.presence.until_ms >= now_ms) {
      change.free = FreeOf(contractor, change.presence);
      change.gold_open = GoldOpenOf(contractor);
    }
    changes.push_back(std::move(change));
  }
  touched_.clear();
  return changes;
}

void TaskView::Touch(const std::string& contractor) {
  MutexLock lock(&mu_);
  touched_.insert(contractor);
}

std::vector<HeldPlace> TaskView::PlacesOf(absl::string_view contractor) const {
  MutexLock lock(&mu_);
  std::vector<HeldPlace> places;
  auto held = held_.find(contractor);
  if (held == held_.end()) return places;
  for (const std::string& id : held->second) {
    const LiveTask& task = tasks_.at(id);
    places.push_back({task.project, id, task.places.at(std::string(contractor)),
                      !task.prelabel_version.empty()});
  }
  std::sort(places.begin(), places.end(), [](const HeldPlace& a, const HeldPlace& b) {
    return a.place.offered_ms() < b.place.offered_ms();
  });
  return places;
}

std::optional<HeldPlace> TaskView::PlaceOf(absl::string_view task,
                                           absl::string_view contractor) const {
  MutexLock lock(&mu_);
  const auto found = tasks_.find(task);
  if (found == tasks_.end()) return std::nullopt;
  const auto place = found->second.places.find(std::string(contractor));
  if (place == found->second.places.end()) return std::nullopt;
  return HeldPlace{found->second.project, std::string(task), place->second,
                   !found->second.prelabel_version.empty()};
}

std::vector<Placement> TaskView::LivePlacesOf(absl::string_view task) const {
  MutexLock lock(&mu_);
  std::vector<Placement> live;
  auto found = tasks_.find(task);
  if (found == tasks_.end()) return live;
  for (const auto& [contractor, place] : found->second.places) {
    if (IsLive(place)) live.push_back(place);
  }
  return live;
}

bool TaskView::HasSeen(absl::string_view task, absl::string_view contractor,
                       absl::string_view assignment) const {
  MutexLock lock(&mu_);
  const auto found = tasks_.find(task);
  if (found == tasks_.end()) return true;
  const auto place = found->second.places.find(std::string(contractor));
  return place != found->second.places.end() && place->second.assignment() == assignment;
}

ProjectLoad TaskView::LoadOf(absl::string_view project) const {
  MutexLock lock(&mu_);
  const auto found = loads_.find(project);
  ProjectLoad load = found == loads_.end() ? ProjectLoad() : found->second;
  load.held += unfinished_.Of(project);
  return load;
}

bool TaskView::Online(absl::string_view contractor, int64_t now_ms) const {
  MutexLock lock(&mu_);
  auto found = presence_.find(contractor);
  return found != presence_.end() && found->second.until_ms >= now_ms;
}

int32_t TaskView::OnlineCount(int64_t now_ms) const {
  MutexLock lock(&mu_);
  return static_cast<int32_t>(std::count_if(presence_.begin(), presence_.end(), [&](const auto& p) {
    return p.second.until_ms >= now_ms;
  }));
}

std::vector<std::string> TaskView::Projects() const {
  MutexLock lock(&mu_);
  std::vector<std::string> projects;
  for (const auto& [project, ranks] : live_) {
    if (!ranks.empty()) projects.push_back(project);
  }
  return projects;
}

int64_t TaskView::OldestCreateMs(absl::string_view project) const {
  MutexLock lock(&mu_);
  auto found = live_.find(std::string(project));
  int64_t oldest = 0;
  if (found == live_.end()) return oldest;
  // Ranks sort by priority first: at most ten priorities, each in order of time.
  for (int32_t priority = 0; priority < 10; ++priority) {
    auto it = found->second.lower_bound({priority * 10'000'000'000'000LL, ""});
    if (it == found->second.end()) break;
    const int64_t created = tasks_.at(it->second).create_ms;
    if (oldest == 0 || created < oldest) oldest = created;
  }
  return oldest;
}

std::vector<std::string> TaskView::TasksOf(absl::string_view project, absl::string_view after,
                                           size_t limit) const {
  MutexLock lock(&mu_);
  std::vector<std::string> page;
  auto found = live_.find(std::string(project));
  if (found == live_.end()) return page;
  auto it = found->second.begin();
  if (!after.empty()) {
    auto task = tasks_.find(after);
    if (task == tasks_.end()) return page;
    it = found->second.upper_bound(RankOf(std::string(after), task->second));
  }
  for (; it != found->second.end() && page.size() < limit; ++it) page.push_back(it->second);
  return page;
}

std::vector<std::string> TaskView::WithoutPrelabel(absl::string_view project,
                                                   absl::string_view version, size_t limit) const {
  MutexLock lock(&mu_);
  std::vector<std::string> page;
  auto found = live_.find(std::string(project));
  if (found == live_.end()) return page;
  for (const Rank& rank : found->second) {
    if (page.size() >= limit) break;
    const LiveTask& task = tasks_.at(rank.second);
    if (task.gold || task.check || task.prelabel_version == version) continue;
    page.push_back(rank.second);
  }
  return page;
}

uint64_t TaskView::LoadedSeq(absl::string_view slot) const {
  MutexLock lock(&mu_);
  const auto found = loaded_seq_.find(slot);
  return found == loaded_seq_.end() ? 0 : found->second;
}

uint64_t TaskView::AwaitChange(uint64_t seen, absl::Duration timeout) const {
  MutexLock lock(&mu_);
  if (changes_ == seen) changed_.WaitFor(&mu_, absl::ToChronoMilliseconds(timeout));
  return changes_;
}

}  // namespace fairlead::dispatch
