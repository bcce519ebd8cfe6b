#include "scheduler/dispatch/dispatcher.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/random/uniform_int_distribution.h"
#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "scheduler/quality/answer.h"

namespace fairlead::dispatch {
namespace {

constexpr size_t kTasksPerProject = 256;  // A round looks no further into a project's queue.
constexpr int kMaxChoices = 512;
// A new task waits so long for its prelabel, where there is a champion to give one.
constexpr int64_t kPrelabelGraceMs = 3'000;
// A model's word never closes the question: a task that still waits wants an answer.
constexpr double kMaxPrelabelTrust = 0.95;
constexpr double kAccountHalfLifeMs = 600'000;

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

google::protobuf::Timestamp NowStamp(absl::Time now) {
  google::protobuf::Timestamp stamp;
  stamp.set_seconds(absl::ToUnixSeconds(now));
  stamp.set_nanos(static_cast<int32_t>(absl::ToUnixMillis(now) % 1000) * 1'000'000);
  return stamp;
}

// Whether the model has its turn first: its prelabel is about to come, or decides alone.
bool IsTheModels(const std::string& id, const LiveTask& task, const learn::Proven& proven,
                 int64_t now_ms) {
  if (task.gold || task.check || task.have + task.open > 0) return false;
  if (task.prelabel_version.empty()) return now_ms - task.create_ms < kPrelabelGraceMs;
  return learn::IsDecidedByModel(proven, id, task.prelabel_version, task.prelabel_confidence);
}

}  // namespace

Dispatcher::Dispatcher(const DispatcherParts& parts, Policy policy)
    : parts_(parts), policy_(std::move(policy)) {}

double Dispatcher::Earned(const std::string& contractor, int64_t now_ms) {
  Account& account = accounts_[contractor];
  if (account.as_of_ms < now_ms) {
    account.micros *=
        std::exp2(-static_cast<double>(now_ms - account.as_of_ms) / kAccountHalfLifeMs);
    account.as_of_ms = now_ms;
  }
  return account.micros;
}

std::optional<learn::Proven> Dispatcher::Prelabeller(const std::string& project_key) const {
  const absl::StatusOr<store::v1::ProjectRecord> project = parts_.registry->Project(project_key);
  if (!project.ok() || !project->settings().model_loop().prelabel()) return std::nullopt;
  const auto model = parts_.registry->Model(project_key);
  if (!model.has_value() || model->champion().empty()) return std::nullopt;
  return learn::ProvenOf(project->settings().model_loop(), *model);
}

void Dispatcher::AddTasks(int64_t now_ms, Snapshot& snapshot) {
  std::map<std::string, std::vector<ReadyTask>> by_project;
  std::map<std::string, learn::Proven> prelabellers;
  for (const std::string& key : parts_.view->Projects()) {
    if (auto prelabeller = Prelabeller(key)) prelabellers[key] = *std::move(prelabeller);
  }
  parts_.view->VisitWanting(kTasksPerProject, [&](const std::string& id, const LiveTask& live) {
    const auto prelabeller = prelabellers.find(live.project);
    if (prelabeller != prelabellers.end() && IsTheModels(id, live, prelabeller->second, now_ms)) {
      return;
    }
    ReadyTask task;
    task.task = id;
    task.project = live.project;
    task.gold = live.gold;
    task.priority = live.priority;
    task.create_ms = live.create_ms;
    task.expire_ms = live.expire_ms;
    task.places = live.want - live.have - live.open;
    // A confident prelabel leaves less to be learned from an answer.
    if (!live.gold) task.confidence = std::min(live.prelabel_confidence, kMaxPrelabelTrust);
    for (const auto& [contractor, place] : live.places) {
      if (place.state() != store::v1::Placement::LAPSED) task.excluded.insert(contractor);
    }
    by_project[live.project].push_back(std::move(task));
  });
  for (auto it = by_project.begin(); it != by_project.end();) {
    absl::StatusOr<store::v1::ProjectRecord> project = parts_.registry->Project(it->first);
    if (!project.ok() || project->paused()) {
      it = by_project.erase(it);
      continue;
    }
    const fairlead::v1::ProjectSettings& settings = project->settings();
    for (ReadyTask& task : it->second) {
      task.kind = settings.answer_schema().kind();
      task.alternatives = quality::Alternatives(settings.answer_schema());
      task.pay_micros = static_cast<double>(store::CurrentRate(*project).micros_per_annotation());
      task.required_skills.assign(settings.required_skills().begin(),
                                  settings.required_skills().end());
      task.weight = std::max(1, settings.weight());
    }
    // Gold first within a project: it is little, and everybody is measured by it.
    std::stable_partition(it->second.begin(), it->second.end(),
                          [](const ReadyTask& task) { return task.gold; });
    // A project that comes back does not collect the time it was away.
    Share& share = shares_[it->first];
    share.pass = std::max(share.pass, virtual_time_);
    ++it;
  }
  // Interleave by virtual pass.
  std::map<std::string, std::pair<double, size_t>> heads;  // Pass ahead, next task.
  for (const auto& [project, tasks] : by_project) heads[project] = {shares_[project].pass, 0};
  while (!heads.empty()) {
    auto next = std::min_element(heads.begin(), heads.end(), [](const auto& a, const auto& b) {
      return a.second.first < b.second.first;
    });
    std::vector<ReadyTask>& tasks = by_project[next->first];
    ReadyTask& task = tasks[next->second.second++];
    next->second.first += 1.0 / task.weight;
    project_of_[task.task] = task.project;
    snapshot.tasks.push_back(std::move(task));
    if (next->second.second == tasks.size()) heads.erase(next);
  }
}

void Dispatcher::AddContractors(int64_t now_ms, Snapshot& snapshot) {
  parts_.view->VisitFree(now_ms, [&](const std::string& id, const Presence& presence,
                                     int32_t free) {
    FreeContractor contractor;
    contractor.contractor = id;
    contractor.credit = free;
    const int64_t since = presence.last_offer_ms > 0 ? presence.last_offer_ms : presence.since_ms;
    contractor.seconds_since_offer =
        static_cast<double>(std::max<int64_t>(0, now_ms - since)) / 1000;
    const double online_ms = static_cast<double>(std::max<int64_t>(0, now_ms - presence.since_ms));
    contractor.online_share = std::min(1.0, online_ms / kAccountHalfLifeMs);
    snapshot.contractors.push_back(std::move(contractor));
  });
  for (FreeContractor& contractor : snapshot.contractors) {
    contractor.earned_recently = Earned(contractor.contractor, now_ms);
    contractor.scores = parts_.scores->Scores(contractor.contractor);
    if (auto record = parts_.registry->Contractor(contractor.contractor); record.has_value()) {
      contractor.skills.assign(record->skills().begin(), record->skills().end());
      contractor.min_pay_micros = static_cast<double>(record->min_pay_micros());
    }
  }
  // An order that depends on nothing but the names: the same state gives the same decision.
  std::sort(
      snapshot.contractors.begin(), snapshot.contractors.end(),
      [](const FreeContractor& a, const FreeContractor& b) { return a.contractor < b.contractor; });
}

Snapshot Dispatcher::BuildSnapshot(int64_t now_ms) {
  Snapshot snapshot;
  snapshot.now_ms = now_ms;
  AddContractors(now_ms, snapshot);
  project_of_.clear();
  if (!snapshot.contractors.empty()) AddTasks(now_ms, snapshot);
  return snapshot;
}

absl::StatusOr<int> Dispatcher::Commit(absl::Time now, std::vector<Choice> choices) {
  std::map<std::string, std::vector<store::OfferTerms>> by_slot;
  for (Choice& choice : choices) {
    const std::string& key = project_of_[choice.task];
    ASSIGN_OR_RETURN(store::v1::ProjectRecord project, parts_.registry->Project(key));
    store::OfferTerms terms;
    terms.ref = {key, choice.task};
    terms.contractor = choice.contractor;
    terms.assignment = NewId(now, gen_);
    terms.token = RandomHex(8);
    terms.offer_window = FromProto(project.settings().offer_window());
    terms.work_window = FromProto(project.settings().work_window());
    choice.decision.set_name(terms.assignment);
    choice.decision.set_assignment(terms.assignment);
    *choice.decision.mutable_create_time() = NowStamp(now);
    store::v1::Event event;
    event.set_key(choice.task);
    event.set_time_ms(absl::ToUnixMillis(now));
    *event.mutable_decision() = std::move(choice.decision);
    // Appended before the commit it explains, without waiting for the disk.
    ASSIGN_OR_RETURN(int64_t position, parts_.log->Append(event.SerializeAsString()));
    parts_.index->Apply(event, position);
    by_slot[parts_.tasks->topology().ShardOf(key)].push_back(std::move(terms));
  }
  int committed = 0;
  for (const auto& [slot, terms] : by_slot) {
    ASSIGN_OR_RETURN(std::vector<bool> valid, parts_.tasks->Offer(slot, terms));
    for (size_t i = 0; i < valid.size(); ++i) {
      if (!valid[i]) continue;
      ++committed;
      ASSIGN_OR_RETURN(store::v1::ProjectRecord project,
                       parts_.registry->Project(terms[i].ref.project));
      Share& share = shares_[terms[i].ref.project];
      virtual_time_ = std::max(virtual_time_, share.pass);
      share.pass += 1.0 / std::max(1, project.settings().weight());
      accounts_[terms[i].contractor].micros +=
          static_cast<double>(store::CurrentRate(project).micros_per_annotation());
    }
  }
  return committed;
}

absl::StatusOr<int> Dispatcher::RunOnce(absl::Time now) {
  const Snapshot snapshot = BuildSnapshot(absl::ToUnixMillis(now));
  if (snapshot.tasks.empty() || snapshot.contractors.empty()) return 0;
  const uint64_t seed = absl::Uniform<uint64_t>(gen_);
  std::vector<Choice> choices = Match(snapshot, policy_, seed, kMaxChoices);
  if (choices.empty()) return 0;
  return Commit(now, std::move(choices));
}

}  // namespace fairlead::dispatch
