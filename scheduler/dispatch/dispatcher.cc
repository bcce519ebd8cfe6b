#include "scheduler/dispatch/dispatcher.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/random/bernoulli_distribution.h"
#include "absl/random/uniform_int_distribution.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "scheduler/dispatch/extra_offers.h"
#include "scheduler/quality/answer.h"
#include "scheduler/quality/redundancy.h"

namespace fairlead::dispatch {
namespace {

constexpr size_t kTasksPerProject = 256;  // A round looks no further into a project's queue.
constexpr size_t kFirstLook = 32;  // And at first only so far, and twice the free contractors.
constexpr int kMaxChoices = 512;
// A new task waits so long for its prelabel, where there is a champion to give one.
constexpr int64_t kPrelabelGraceMs = 3'000;
// A model's word never closes the question: a task that still waits wants an answer.
constexpr double kMaxPrelabelTrust = 0.95;
constexpr int64_t kOfferWindowMs = 60'000;  // That responsiveness is asked about.
constexpr int kMostAdjudications = 32;      // A project and round: adjudicators may be few.
constexpr size_t kGoldFirst = 64;           // Gold tasks that go before all else.
constexpr int64_t kLookForSlowMs = 1'000;
constexpr size_t kMostSlow = 256;    // Tasks of one look.
constexpr int64_t kSentMs = 60'000;  // An offer unseen for so long was not committed.

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  google::protobuf::Duration proto;
  proto.set_seconds(absl::ToInt64Seconds(duration));
  proto.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration % absl::Seconds(1))));
  return proto;
}

google::protobuf::Timestamp NowStamp(absl::Time now) {
  google::protobuf::Timestamp stamp;
  stamp.set_seconds(absl::ToUnixSeconds(now));
  stamp.set_nanos(static_cast<int32_t>(absl::ToUnixMillis(now) % 1000) * 1'000'000);
  return stamp;
}

// Whether the model has its turn first: its prelabel is about to come, or decides alone.
bool IsTheModels(const std::string& id, const LiveTask& task, bool valued,
                 const learn::Proven& proven, int64_t now_ms) {
  if (task.gold || task.check || task.have + task.open > 0) return false;
  if (task.prelabel_version.empty()) return now_ms - task.create_ms < kPrelabelGraceMs;
  return !valued &&
         learn::IsDecidedByModel(proven, id, task.prelabel_version, task.prelabel_confidence);
}

}  // namespace

double LeastQualityOf(const LiveTask& task, const fairlead::v1::ProjectSettings& settings,
                      int64_t now_ms) {
  const bool review = settings.review() && task.turns.reviewers();
  const fairlead::v1::Redundancy& redundancy = settings.redundancy();
  const bool may_be = redundancy.adjudicate_below() > 0 || redundancy.has_adjudicate_priority();
  if (task.gold || !(review || may_be)) return 0;
  const quality::RedundancyLimits limits =
      quality::LimitsOfTask(redundancy, task.priority, task.check);
  int64_t last_ms = 0;
  for (const auto& [contractor, place] : task.places) {
    if (place.state() == store::v1::Placement::SUBMITTED) {
      last_ms = std::max(last_ms, place.deadline_ms());
    }
  }
  const int64_t waited_ms = now_ms - last_ms;
  const bool proven = review ? waited_ms < quality::kAdjudicatorWaitMs
                             : quality::IsAdjudicators(limits, task.have, waited_ms);
  return proven ? limits.adjudicator_quality : 0;
}

bool IsGoldPaced(const fairlead::v1::ProjectSettings& settings, const ProjectLoad& load,
                 size_t shown) {
  if (settings.has_qualification() || settings.model_loop().train()) return false;
  return load.tasks > load.gold && shown >= kGoldFirst;
}

Dispatcher::Dispatcher(const DispatcherParts& parts, Policy policy)
    : parts_(parts),
      policy_(std::move(policy)),
      free_(policy_, StableHash64(policy_.version), kOfferWindowMs,
            [this](absl::string_view contractor, v1::TaskKind kind) {
              return parts_.scores->Score(contractor, kind);
            }),
      tests_(parts.qualifications, parts.view) {}

void Dispatcher::FollowContractors(int64_t now_ms) {
  tests_.TouchDue(now_ms);
  for (const ContractorChange& change : parts_.view->TakeChanged(now_ms)) {
    const Presence& presence = change.presence;
    Availability there;
    there.credit = change.free;
    there.gold_open = change.gold_open;
    there.last_offer_ms = presence.last_offer_ms > 0 ? presence.last_offer_ms : presence.since_ms;
    there.since_ms = presence.since_ms;
    there.until_ms = presence.until_ms;
    if (auto record = parts_.registry->Contractor(change.contractor); record.has_value()) {
      there.skills.assign(record->skills().begin(), record->skills().end());
      there.min_pay_micros = static_cast<double>(record->min_pay_micros());
    }
    tests_.AddTo(change.contractor, now_ms, there.skills);
    free_.Put(change.contractor, there, now_ms);
  }
}

std::optional<learn::Proven> Dispatcher::Prelabeller(
    const std::string& key, const store::v1::ProjectRecord& project) const {
  if (!project.settings().model_loop().prelabel()) return std::nullopt;
  const auto model = parts_.registry->Model(key);
  if (!model.has_value() || model->champion().empty()) return std::nullopt;
  return learn::ProvenOf(project.settings().model_loop(), *model);
}

std::vector<ReadyTask> Dispatcher::ReadTasks(size_t limit, int64_t now_ms) {
  projects_.clear();
  project_of_.clear();
  from_overdue_.clear();
  for (const std::string& key : parts_.view->Projects()) {
    absl::StatusOr<store::SharedProjectRecord> record = parts_.registry->SharedProject(key);
    if (!record.ok() || (*record)->paused()) continue;
    Project& project = projects_[key];
    project.prelabeller = Prelabeller(key, **record);
    project.record = *std::move(record);
    const ProjectLoad load = parts_.view->LoadOf(key);
    if (tests_.IsTest(key)) project.questions = load.tasks;
    project.paced = IsGoldPaced(project.record->settings(), load, parts_.calibrations->GoldOf(key));
    // A project that comes back does not collect the time it was away.
    Share& share = shares_[key];
    share.pass = std::max(share.pass, virtual_time_);
  }
  for (const auto& [id, live] : slow_) {
    const auto found = projects_.find(live.project);
    if (found == projects_.end()) continue;
    std::optional<ReadyTask> task = PlaceToOffer(id, live, found->second, now_ms);
    if (!task.has_value()) continue;
    task->places = task->parallel = 1;
    found->second.tasks.push_back(*std::move(task));
  }
  parts_.view->VisitWanting(limit, [&](const std::string& id, const LiveTask& live) {
    const auto found = projects_.find(live.project);
    if (found == projects_.end() || slow_.contains(id)) return true;
    Project& project = found->second;
    // By lot, so that a take is not the same questions for everybody.
    if (project.questions > SkillTests::kQuestionsARound &&
        !absl::Bernoulli(gen_,
                         SkillTests::kQuestionsARound / static_cast<double>(project.questions))) {
      return false;
    }
    std::optional<ReadyTask> task = PlaceToOffer(id, live, project, now_ms);
    if (!task.has_value()) return false;
    project.tasks.push_back(*std::move(task));
    return true;
  });
  return Interleave(now_ms);
}

std::optional<ReadyTask> Dispatcher::PlaceToOffer(const std::string& id, const LiveTask& live,
                                                  Project& project, int64_t now_ms) const {
  const fairlead::v1::Redundancy& redundancy = project.record->settings().redundancy();
  if (project.prelabeller.has_value() &&
      IsTheModels(id, live, quality::IsValued(redundancy, live.priority), *project.prelabeller,
                  now_ms)) {
    return std::nullopt;
  }
  ReadyTask task;
  task.least_quality = LeastQualityOf(live, project.record->settings(), now_ms);
  if (task.least_quality > 0 && project.adjudications++ >= kMostAdjudications) return std::nullopt;
  task.task = id;
  task.project = live.project;
  task.gold = live.gold;
  task.paced = live.gold && project.paced;
  task.priority = live.priority;
  task.create_ms = live.create_ms;
  task.expire_ms = live.expire_ms;
  task.places = live.places_left();
  task.overdue = live.overdue();
  if (!project.record->settings().has_qualification()) {
    task.parallel = std::max(1, project.record->settings().parallel_offers());
  }
  // A confident prelabel leaves less to be learned from an answer.
  if (!live.gold) task.confidence = std::min(live.prelabel_confidence, kMaxPrelabelTrust);
  for (const auto& [contractor, place] : live.places) {
    if (place.state() == store::v1::Placement::LAPSED ||
        place.state() == store::v1::Placement::TAKEN) {
      continue;
    }
    // A question of a test knows thousands, most of whom are long gone.
    if (free_.Find(contractor) != kNoSlot) task.excluded.insert(contractor);
  }
  for (const auto& [contractor, assignment] : live.ahead) task.excluded.insert(contractor);
  return task;
}

quality::ContractorScore Dispatcher::ScoreOf(const std::string& contractor,
                                             fairlead::v1::TaskKind kind, int64_t now_ms) const {
  quality::ContractorScore score = parts_.scores->Score(contractor, kind);
  quality::Decay(now_ms, score);
  return score;
}

void Dispatcher::LookForSlowWork(int64_t now_ms) {
  slow_.clear();
  if (now_ms - looked_ms_ < kLookForSlowMs) return;
  looked_ms_ = now_ms;
  std::map<std::string, fairlead::v1::TaskKind> kinds;  // Of the projects that ask for it.
  for (const std::string& key : parts_.view->Projects()) {
    const absl::StatusOr<store::SharedProjectRecord> record = parts_.registry->SharedProject(key);
    if (!record.ok() || !(*record)->settings().duplicate_stragglers()) continue;
    kinds[key] = (*record)->settings().answer_schema().kind();
  }
  if (kinds.empty()) return;
  parts_.view->VisitHeld([&](const std::string& id, const LiveTask& live) {
    const auto kind = kinds.find(live.project);
    if (kind == kinds.end() || slow_.size() >= kMostSlow) return;
    const auto slow = [&](const std::string& contractor) {
      return quality::SlowSeconds(ScoreOf(contractor, kind->second, now_ms),
                                  policy_.fallback_seconds);
    };
    if (WantsDuplicate(live, slow, now_ms)) slow_.emplace(id, live);
  });
}

void Dispatcher::OfferBeside(absl::Span<const ReadyTask> tasks, int64_t now_ms,
                             std::vector<Choice>& choices) {
  for (Choice& choice : choices) {
    choice.spare = slow_.contains(choice.task) ? 1 : 0;
    choice.decision.set_duplicate(choice.spare > 0);
    choice.from_overdue = from_overdue_.contains(choice.task);
  }
  AddParallelOffers(
      tasks,
      [&](const std::string& contractor, const ReadyTask& task) {
        const fairlead::v1::ProjectSettings& settings = projects_[task.project].record->settings();
        const absl::Duration window = OfferWindow(settings, contractor, now_ms);
        return quality::AcceptProbability(ScoreOf(contractor, task.kind, now_ms),
                                          absl::ToDoubleSeconds(window));
      },
      [&](absl::Span<const ReadyTask> more) {
        return Match(more, policy_, absl::Uniform<uint64_t>(gen_), kMaxChoices, now_ms, free_);
      },
      choices);
}

std::map<std::string, Dispatcher::Sent>& Dispatcher::Unseen(const std::string& key,
                                                            int64_t now_ms) {
  std::map<std::string, Sent>& sent = sent_[key];
  for (auto it = sent.begin(); it != sent.end();) {
    const auto& [assignment, offer] = *it;
    const bool over = now_ms - offer.time_ms > kSentMs ||
                      parts_.view->HasSeen(offer.task, offer.contractor, assignment);
    it = over ? sent.erase(it) : std::next(it);
  }
  return sent;
}

void Dispatcher::KeepWithinTakes(std::vector<Choice>& choices, int64_t now_ms) {
  absl::flat_hash_set<std::pair<std::string, std::string>> asked;  // Test, contractor.
  std::erase_if(choices, [&](const Choice& choice) {
    const std::string& key = project_of_[choice.task];
    if (!tests_.IsTest(key)) return false;
    for (const auto& [assignment, offer] : Unseen(key, now_ms)) {
      asked.emplace(key, offer.contractor);
    }
    return !asked.emplace(key, choice.contractor).second ||
           !tests_.MayBeAsked(choice.contractor, key, now_ms);
  });
}

void Dispatcher::KeepWithinBudget(const std::string& key, Project& project, int64_t now_ms) {
  const fairlead::v1::ProjectSettings& settings = project.record->settings();
  if (settings.budget_micros() <= 0) return;
  // In the order in which an offer becomes an answer, so that none is missed on its way.
  const std::map<std::string, Sent>& sent = Unseen(key, now_ms);
  const int64_t held = parts_.view->LoadOf(key).held;
  quality::Progress progress = parts_.spend->Of(key);
  progress.held = held + static_cast<int64_t>(sent.size());
  int64_t left = quality::AffordableOffers(
      settings.budget_micros(), store::CurrentRate(*project.record).micros_per_annotation(),
      progress);
  for (ReadyTask& task : project.tasks) {
    if (task.overdue > 0) {
      // First these, whose pay is held already.
      task.places = std::min(task.places, task.overdue);
      task.parallel = 1;
      from_overdue_.insert(task.task);
      continue;
    }
    task.places = static_cast<int>(std::min<int64_t>(task.places, left));
    left -= task.places;
  }
  project.tasks.erase(std::remove_if(project.tasks.begin(), project.tasks.end(),
                                     [](const ReadyTask& task) { return task.places == 0; }),
                      project.tasks.end());
}

// By virtual pass.
std::vector<ReadyTask> Dispatcher::Interleave(int64_t now_ms) {
  std::map<std::string, std::pair<double, size_t>> heads;  // Pass ahead, next task.
  for (auto& [key, project] : projects_) {
    const fairlead::v1::ProjectSettings& settings = project.record->settings();
    for (ReadyTask& task : project.tasks) {
      task.kind = settings.answer_schema().kind();
      task.alternatives = quality::Alternatives(settings.answer_schema());
      task.pay_micros =
          static_cast<double>(store::CurrentRate(*project.record).micros_per_annotation());
      tests_.SetTerms(*project.record, task);
      task.weight = std::max(1, settings.weight());
    }
    // Gold first within a project: it is little, and everybody is measured by it. Paced gold too:
    // whoever is due for it is few.
    std::stable_partition(project.tasks.begin(), project.tasks.end(),
                          [](const ReadyTask& task) { return task.gold; });
    KeepWithinBudget(key, project, now_ms);
    if (!project.tasks.empty()) heads[key] = {shares_[key].pass, 0};
  }
  std::vector<ReadyTask> ready;
  while (!heads.empty()) {
    auto next = std::min_element(heads.begin(), heads.end(), [](const auto& a, const auto& b) {
      return a.second.first < b.second.first;
    });
    std::vector<ReadyTask>& tasks = projects_[next->first].tasks;
    ReadyTask& task = tasks[next->second.second++];
    next->second.first += 1.0 / task.weight;
    project_of_[task.task] = task.project;
    ready.push_back(std::move(task));
    if (next->second.second == tasks.size()) heads.erase(next);
  }
  return ready;
}

absl::Duration Dispatcher::OfferWindow(const fairlead::v1::ProjectSettings& settings,
                                       const std::string& contractor, int64_t now_ms) const {
  const absl::Duration window = FromProto(settings.offer_window());
  const quality::ContractorScore score =
      ScoreOf(contractor, settings.answer_schema().kind(), now_ms);
  const double seconds = quality::OfferWindowSeconds(score, absl::ToDoubleSeconds(window));
  return std::min(window, absl::Ceil(absl::Seconds(seconds), absl::Milliseconds(1)));
}

absl::StatusOr<int> Dispatcher::Commit(absl::Time now, std::vector<Choice> choices,
                                       absl::flat_hash_set<std::string>& unsure) {
  std::map<std::string, std::vector<store::OfferTerms>> by_slot;
  std::vector<store::v1::Event> events;
  std::vector<std::string> records;
  for (Choice& choice : choices) {
    const std::string& key = project_of_[choice.task];
    const fairlead::v1::ProjectSettings& settings = projects_[key].record->settings();
    store::OfferTerms terms;
    terms.ref = {key, choice.task};
    terms.contractor = choice.contractor;
    terms.assignment = NewId(now, gen_);
    terms.token = RandomHex(8);
    terms.offer_window = OfferWindow(settings, choice.contractor, absl::ToUnixMillis(now));
    terms.work_window = FromProto(settings.work_window());
    terms.over = choice.over;
    terms.spare = choice.spare;
    terms.from_overdue = choice.from_overdue;
    choice.decision.set_name(terms.assignment);
    choice.decision.set_assignment(terms.assignment);
    *choice.decision.mutable_offer_window() = ToProto(terms.offer_window);
    *choice.decision.mutable_create_time() = NowStamp(now);
    store::v1::Event event;
    event.set_key(choice.task);
    event.set_time_ms(absl::ToUnixMillis(now));
    *event.mutable_decision() = std::move(choice.decision);
    records.push_back(event.SerializeAsString());
    events.push_back(std::move(event));
    if (settings.budget_micros() > 0 || settings.has_qualification()) {
      sent_[key][terms.assignment] = {choice.task, choice.contractor, absl::ToUnixMillis(now)};
    }
    by_slot[parts_.tasks->topology().ShardOf(key)].push_back(std::move(terms));
  }
  // Appended before the commits they explain, without waiting for the disk.
  ASSIGN_OR_RETURN(const std::vector<int64_t> positions, parts_.log->AppendAll(records));
  for (size_t i = 0; i < events.size(); ++i) parts_.index->Apply(events[i], positions[i]);
  int committed = 0;
  for (const auto& [slot, terms] : by_slot) {
    ASSIGN_OR_RETURN(std::vector<bool> valid, parts_.tasks->Offer(slot, terms));
    for (size_t i = 0; i < valid.size(); ++i) {
      const std::string& key = terms[i].ref.project;
      if (!valid[i]) {
        if (const auto sent = sent_.find(key); sent != sent_.end()) {
          sent->second.erase(terms[i].assignment);
        }
        continue;
      }
      ++committed;
      unsure.erase(terms[i].contractor);
      parts_.view->NoteOffered(terms[i].ref.task, terms[i].contractor, terms[i].assignment);
      Share& share = shares_[key];
      virtual_time_ = std::max(virtual_time_, share.pass);
      share.pass += 1.0 / std::max(1, projects_[key].record->settings().weight());
    }
  }
  return committed;
}

absl::StatusOr<int> Dispatcher::RunOnce(absl::Time now) {
  const int64_t now_ms = absl::ToUnixMillis(now);
  FollowContractors(now_ms);
  LookForSlowWork(now_ms);
  std::vector<Choice> choices;
  for (const size_t limit :
       {std::min(kTasksPerProject, kFirstLook + 2 * free_.free()), kTasksPerProject}) {
    if (free_.free() == 0) return 0;
    const std::vector<ReadyTask> tasks = ReadTasks(limit, now_ms);
    if (tasks.empty()) return 0;
    choices = Match(tasks, policy_, absl::Uniform<uint64_t>(gen_), kMaxChoices, now_ms, free_);
    OfferBeside(tasks, now_ms, choices);
    // Those who are free may have answered all that stands at the head: then it is looked further.
    if (!choices.empty() || limit == kTasksPerProject) break;
  }
  if (choices.empty()) return 0;
  absl::flat_hash_set<std::string> unsure;
  for (const Choice& choice : choices) unsure.insert(choice.contractor);
  KeepWithinTakes(choices, now_ms);
  absl::StatusOr<int> committed = 0;
  if (!choices.empty()) committed = Commit(now, std::move(choices), unsure);
  // The index counts them as offered something, which they were not.
  for (const std::string& contractor : unsure) parts_.view->Touch(contractor);
  return committed;
}

}  // namespace fairlead::dispatch
