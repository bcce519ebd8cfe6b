#include "scheduler/learn/model_loop.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/hash.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/status.h"
#include "scheduler/learn/evidence.h"
#include "scheduler/learn/job_priority.h"
#include "scheduler/learn/label_checks.h"
#include "scheduler/learn/manifests.h"
#include "scheduler/learn/prelabel_use.h"

namespace fairlead::learn {
namespace {

constexpr size_t kPrelabelBatch = 128;
constexpr size_t kPrelabelsInFlight = 1024;
constexpr absl::Duration kEnqueueCheck = absl::Seconds(5);
constexpr absl::Duration kAskAgain = absl::Minutes(5);
constexpr int64_t kOutcomesBatch = 20;
constexpr absl::Duration kWatchEvery = absl::Seconds(30);
constexpr int64_t kFreshAfterDrift = 20;  // Labels; fewer would train the same model again.
// Every so many versions a reader is trained from the beginning: what warm rounds cannot leave
// behind is left behind.
constexpr int kFreshEvery = 8;

std::string TenantOf(absl::string_view key) { return std::string(key.substr(0, key.find('/'))); }

std::string VersionNameOf(const std::string& key, int number) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(key, absl::MaxSplits('/', 1));
  return absl::StrCat("tenants/", parts.first, "/models/", parts.second, "/versions/", number);
}

// NOT_FOUND, DATA_LOSS or UNAVAILABLE as the store says; DATA_LOSS when the bytes are no T.
template <typename T>
absl::StatusOr<T> BlobAs(BlobStore& blobs, const std::string& tenant, const std::string& id) {
  ASSIGN_OR_RETURN(const std::string bytes, blobs.Get(tenant, id));
  T message;
  if (!message.ParseFromString(bytes)) {
    return absl::DataLossError(absl::StrCat("blob ", id, " is no ", message.GetTypeName()));
  }
  return message;
}

// The reward model finds the same optimum from wherever it starts.
bool IsFreshRound(const store::v1::ModelRecord& model) {
  return model.kind() == fairlead::v1::TASK_KIND_IMAGE_TEXT && !model.champion().empty() &&
         model.versions_size() % kFreshEvery == kFreshEvery - 1;
}

int PriorityOf(const store::v1::JobRecord& training) {
  return training.params().contains("fresh") ? kFreshPriority : kTrainPriority;
}

}  // namespace

std::string ModelKindOf(fairlead::v1::TaskKind kind) {
  if (kind == fairlead::v1::TASK_KIND_IMAGE_TEXT) return "ocr";
  if (kind == fairlead::v1::TASK_KIND_PAIR) return "reward";
  return "";
}

void ModelLoop::Apply(const store::v1::Event& event, int64_t) {
  watch_.Apply(event);
  MutexLock lock(&mu_);
  if (event.has_job_finished()) finished_.push_back(event.job_finished());  // Of an older version.
  for (const store::v1::JobFinished& one : event.jobs_finished().jobs()) finished_.push_back(one);
}

absl::StatusOr<int> ModelLoop::ApplyFinished(absl::Time now) {
  int applied = 0;
  while (true) {
    store::v1::JobFinished finished;
    {
      MutexLock lock(&mu_);
      if (finished_.empty()) return applied;
      finished = finished_.front();
    }
    const bool training = absl::StartsWith(finished.job().kind(), "train-");
    const bool check = absl::StartsWith(finished.job().kind(), "check-");
    RETURN_IF_ERROR(training ? ApplyTraining(finished, now)
                    : check  ? ApplyCheck(finished, now)
                             : ApplyPrelabels(finished));
    ++applied;
    MutexLock lock(&mu_);
    finished_.pop_front();
  }
}

absl::StatusOr<std::optional<RoundEvidence>> ModelLoop::EvidenceFor(
    const store::v1::JobFinished& finished) {
  if (finished.result().evaluation_blob().empty()) return std::nullopt;
  const auto manifest = BlobAs<store::v1::DatasetManifest>(*parts_.blobs, finished.job().tenant(),
                                                           finished.job().manifest_blob());
  const auto evaluation = BlobAs<store::v1::Evaluation>(*parts_.blobs, finished.job().tenant(),
                                                        finished.result().evaluation_blob());
  for (const absl::Status& status : {manifest.status(), evaluation.status()}) {
    if (absl::IsUnavailable(status)) return status;
  }
  absl::StatusOr<PairedEvidence> paired = !manifest.ok()     ? manifest.status()
                                          : !evaluation.ok() ? evaluation.status()
                                                             : EvidenceOf(*manifest, *evaluation);
  if (!paired.ok()) {
    FAIRLEAD_LOG(WARNING) << "evaluation not usable job=" << finished.job().job() << " error=\""
                          << paired.status() << "\"";
    return std::nullopt;
  }
  return RoundEvidence{*std::move(paired), evaluation->champion_blob()};
}

absl::Status ModelLoop::ApplyTraining(const store::v1::JobFinished& finished, absl::Time now) {
  std::optional<store::v1::ModelRecord> model = parts_.registry->Model(finished.job().model());
  if (!model.has_value()) return absl::OkStatus();
  for (const store::v1::ModelVersionRecord& version : model->versions()) {
    if (version.job() == finished.job().job()) return absl::OkStatus();  // Applied before.
  }
  if (finished.job().params().contains("rebuild")) {
    if (!EndRebuild(finished, absl::ToUnixMillis(now), *model)) return absl::OkStatus();
  } else if (finished.dead()) {
    if (model->pending().job() != finished.job().job()) return absl::OkStatus();
    FAIRLEAD_LOG(WARNING) << "training job died job=" << finished.job().job() << " error=\""
                          << finished.error() << "\"";
    model->clear_pending();
  } else {
    ASSIGN_OR_RETURN(const std::optional<RoundEvidence> evidence, EvidenceFor(finished));
    const bool promoted = Register(finished, evidence, absl::ToUnixMillis(now), *model);
    const double accuracy = parts_.registry->Project(model->project())
                                .value_or(store::v1::ProjectRecord())
                                .settings()
                                .model_loop()
                                .auto_accept_accuracy();
    if (evidence.has_value() && accuracy > 0) {
      model->mutable_versions(model->versions_size() - 1)
          ->set_auto_accept_from(ProvenFrom(evidence->paired.frozen, accuracy));
    }
    FAIRLEAD_LOG(INFO) << "model registered version=" << finished.job().version()
                       << " promoted=" << promoted << " gate=\""
                       << model->versions(model->versions_size() - 1).gate_decision() << "\"";
  }
  absl::Status put = parts_.registry_store->PutModel(*std::move(model)).status();
  // The view lags behind a write just made: the next round reads the newer record.
  return ReasonOf(put) == "REVISION_CHANGED" ? absl::UnavailableError(put.message()) : put;
}

absl::Status ModelLoop::ApplyPrelabels(const store::v1::JobFinished& finished) {
  if (finished.dead()) {
    FAIRLEAD_LOG(WARNING) << "prelabel job died job=" << finished.job().job() << " error=\""
                          << finished.error() << "\"";
    return absl::OkStatus();
  }
  const std::optional<store::v1::ModelRecord> model =
      parts_.registry->Model(finished.job().model());
  if (!model.has_value() || model->champion() != finished.job().version()) return absl::OkStatus();
  const std::vector<std::string> waiting =
      parts_.view->WithoutPrelabel(model->project(), model->champion(), 1 << 20);
  const absl::flat_hash_set<std::string> wanted(waiting.begin(), waiting.end());
  for (const store::v1::PrelabelRecord& record : finished.result().prelabels()) {
    if (!wanted.contains(record.task())) continue;
    absl::Status put = parts_.tasks->Prelabel({model->project(), record.task()}, record);
    if (!put.ok() && !absl::IsNotFound(put)) return put;
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> ModelLoop::SubmitChecks(const store::v1::JobFinished& finished,
                                                absl::Time now) {
  ASSIGN_OR_RETURN(const store::v1::ProjectRecord project,
                   parts_.registry->Project(finished.job().model()));
  ASSIGN_OR_RETURN(const auto manifest,
                   BlobAs<store::v1::DatasetManifest>(*parts_.blobs, finished.job().tenant(),
                                                      finished.job().manifest_blob()));
  absl::flat_hash_map<std::string, const store::v1::DatasetManifest::Item*> items;
  for (const auto& item : manifest.items()) items[item.id()] = &item;
  int64_t submitted = 0;
  for (const store::v1::LabelDoubt& doubt : finished.result().doubts()) {
    const auto item = items.find(doubt.task());
    if (item == items.end()) continue;
    const store::v1::TaskRecord task =
        CheckTask(project, *item->second, NewId(now, gen_), absl::ToUnixMillis(now));
    // A label is checked once: the request id is the doubted task's.
    const absl::Status status =
        parts_.tasks
            ->Submit(project.project(), absl::StrCat("check-", doubt.task()),
                     Sha256Hex(doubt.task()), {task})
            .status();
    if (absl::IsUnavailable(status)) return status;
    if (!status.ok()) {
      FAIRLEAD_LOG(WARNING) << "label not checked task=" << doubt.task() << " error=\"" << status
                            << "\"";
      continue;
    }
    ++submitted;
  }
  return submitted;
}

absl::Status ModelLoop::ApplyCheck(const store::v1::JobFinished& finished, absl::Time now) {
  std::optional<store::v1::ModelRecord> model = parts_.registry->Model(finished.job().model());
  if (!model.has_value() || model->checking().job() != finished.job().job()) {
    return absl::OkStatus();  // Applied before.
  }
  int64_t doubted = 0;
  if (finished.dead()) {
    FAIRLEAD_LOG(WARNING) << "check of labels died job=" << finished.job().job() << " error=\""
                          << finished.error() << "\"";
  } else {
    absl::StatusOr<int64_t> submitted = SubmitChecks(finished, now);
    if (absl::IsUnavailable(submitted.status())) return submitted.status();
    if (submitted.ok()) doubted = *submitted;
    FAIRLEAD_LOG(INFO) << "labels checked job=" << finished.job().job() << " doubted=" << doubted
                       << " status=\"" << submitted.status() << "\"";
    CounterOf("fairlead_labels_doubted_total", "Labels that went to people once more.")
        .Increment(doubted);
  }
  EndCheck(finished, doubted, *model);
  absl::Status put = parts_.registry_store->PutModel(*std::move(model)).status();
  return ReasonOf(put) == "REVISION_CHANGED" ? absl::UnavailableError(put.message()) : put;
}

absl::StatusOr<int> ModelLoop::EnsureCheck(const store::v1::ProjectRecord& project,
                                           absl::Time now) {
  std::optional<store::v1::ModelRecord> model = parts_.registry->Model(project.project());
  if (!model.has_value()) return 0;
  if (!model->checking().job().empty()) {
    if (now - last_enqueue_check_ < kEnqueueCheck) return 0;
    ASSIGN_OR_RETURN(bool fresh, parts_.jobs->Enqueue(model->checking(), kCheckPriority));
    return fresh ? 1 : 0;
  }
  const int64_t labels = parts_.index->LabelCount(project.project());
  if (!CheckIsDue(project, *model, labels)) return 0;
  ASSIGN_OR_RETURN(const store::v1::DatasetManifest manifest,
                   BuildDataset(project, *parts_.index, nullptr));
  ASSIGN_OR_RETURN(const std::string blob,
                   parts_.blobs->Put(TenantOf(project.project()), DeterministicBytes(manifest)));
  const store::v1::JobRecord job = BeginCheck(blob, labels, *model);
  const absl::Status put = parts_.registry_store->PutModel(*std::move(model)).status();
  if (ReasonOf(put) == "REVISION_CHANGED") return 0;  // The next round sees the newer record.
  RETURN_IF_ERROR(put);
  return parts_.jobs->Enqueue(job, kCheckPriority).ok() ? 1 : 0;
}

absl::StatusOr<store::v1::DatasetManifest> ModelLoop::BuildManifest(
    const store::v1::ProjectRecord& project, const store::v1::ModelRecord& model) {
  if (model.versions().empty()) return BuildDataset(project, *parts_.index, nullptr);
  const std::string& blob = model.versions(model.versions_size() - 1).manifest_blob();
  const auto last =
      BlobAs<store::v1::DatasetManifest>(*parts_.blobs, TenantOf(project.project()), blob);
  RETURN_IF_ERROR(last.status());
  return BuildDataset(project, *parts_.index, &*last);
}

absl::Status ModelLoop::StartTraining(const store::v1::ProjectRecord& project,
                                      store::v1::ModelRecord model, int64_t labels) {
  const std::string tenant = TenantOf(project.project());
  ASSIGN_OR_RETURN(store::v1::DatasetManifest manifest, BuildManifest(project, model));
  ASSIGN_OR_RETURN(std::string blob, parts_.blobs->Put(tenant, DeterministicBytes(manifest)));
  store::v1::JobRecord& job = *model.mutable_pending();
  job.Clear();
  job.set_kind(absl::StrCat("train-", ModelKindOf(project.settings().answer_schema().kind())));
  job.set_tenant(tenant);
  job.set_model(project.project());
  job.set_manifest_blob(blob);
  if (const auto* champion = FindVersion(model, model.champion()))
    job.set_champion_blob(champion->blob());
  job.set_version(VersionNameOf(project.project(), model.versions_size() + 1));
  if (IsFreshRound(model)) (*job.mutable_params())["fresh"] = "1";
  job.set_job(absl::StrCat(job.kind(), "-", Sha256Hex(DeterministicBytes(job)).substr(0, 24)));
  model.set_trained_labels(labels);
  // The record first: a job that nobody remembers would train for nothing.
  const store::v1::JobRecord enqueued = job;
  RETURN_IF_ERROR(parts_.registry_store->PutModel(std::move(model)).status());
  FAIRLEAD_LOG(INFO) << "training job made job=" << enqueued.job()
                     << " items=" << manifest.items_size();
  return parts_.jobs->Enqueue(enqueued, PriorityOf(enqueued)).status();
}

absl::Status ModelLoop::Watch(const store::v1::ProjectRecord& project, absl::Time now) {
  const Outcomes outcomes = watch_.Of(project.project());
  const int64_t fresh = outcomes.total() - noted_[project.project()];
  // The record holds all versions: it is written for many outcomes at once.
  if (fresh == 0 || (fresh < kOutcomesBatch && now - last_watch_ < kWatchEvery)) {
    return absl::OkStatus();
  }
  std::optional<store::v1::ModelRecord> model = parts_.registry->Model(project.project());
  if (!model.has_value()) return absl::OkStatus();
  if (!NoteOutcomes(outcomes, *model)) {
    noted_[project.project()] = outcomes.total();
    return absl::OkStatus();
  }
  const std::string champion = model->champion();
  const bool back = RollBackIfWorse(*model);
  absl::Status put = parts_.registry_store->PutModel(*std::move(model)).status();
  if (ReasonOf(put) == "REVISION_CHANGED") return absl::OkStatus();  // The next round adds them.
  RETURN_IF_ERROR(put);
  noted_[project.project()] = outcomes.total();
  if (back) {
    FAIRLEAD_LOG(WARNING) << "model taken back version=" << champion;
    CounterOf("fairlead_models_rolled_back_total", "Champions taken back in service.").Increment();
  }
  return absl::OkStatus();
}

absl::StatusOr<int> ModelLoop::EnsureTraining(const store::v1::ProjectRecord& project,
                                              absl::Time now) {
  const fairlead::v1::ModelLoop& loop = project.settings().model_loop();
  if (!loop.train() || ModelKindOf(project.settings().answer_schema().kind()).empty()) return 0;
  store::v1::ModelRecord model;
  if (std::optional<store::v1::ModelRecord> known = parts_.registry->Model(project.project())) {
    model = *std::move(known);
  } else {
    model.set_model(project.project());
    model.set_project(project.project());
    model.set_kind(project.settings().answer_schema().kind());
  }
  if (!model.pending().job().empty()) {
    // Whatever the lane forgot is enqueued again; what it has is left alone.
    if (now - last_enqueue_check_ < kEnqueueCheck) return 0;
    ASSIGN_OR_RETURN(bool fresh,
                     parts_.jobs->Enqueue(model.pending(), PriorityOf(model.pending())));
    return fresh ? 1 : 0;
  }
  const int64_t labels = parts_.index->LabelCount(project.project());
  const int64_t fresh = labels - model.trained_labels();
  if (fresh <= 0) return 0;
  const int64_t age_ms = absl::ToUnixMillis(now) -
                         parts_.index->OldestLabelAfter(project.project(), model.trained_labels());
  const int64_t patience_ms =
      loop.train_after().seconds() * 1000 + loop.train_after().nanos() / 1'000'000;
  // An alarm from before the newest version has had its round.
  const bool drifted =
      fresh >= kFreshAfterDrift && model.versions_size() > 0 &&
      watch_.Of(project.project()).drift_ms > model.versions(model.versions_size() - 1).create_ms();
  if (fresh < loop.train_after_labels() && age_ms < patience_ms && !drifted) return 0;
  if (drifted) {
    FAIRLEAD_LOG(WARNING) << "champion's error has risen: training version=" << model.champion();
    CounterOf("fairlead_models_drift_alarms_total", "Risen errors of champions.").Increment();
  }
  RETURN_IF_ERROR(StartTraining(project, std::move(model), labels));
  return 1;
}

absl::Status ModelLoop::EnqueuePrelabels(const store::v1::ModelRecord& model, absl::Time now,
                                         const std::vector<std::string>& batch) {
  const auto* champion = FindVersion(model, model.champion());
  FAIRLEAD_CHECK(champion != nullptr) << "champion without a version " << model.champion();
  ASSIGN_OR_RETURN(
      store::v1::PrelabelManifest manifest,
      BuildPrelabelManifest(model.project(), champion->version(), batch, *parts_.tasks));
  store::v1::JobRecord job;
  job.set_kind(absl::StrCat("prelabel-", ModelKindOf(model.kind())));
  job.set_tenant(TenantOf(model.project()));
  job.set_model(model.model());
  ASSIGN_OR_RETURN(*job.mutable_manifest_blob(),
                   parts_.blobs->Put(job.tenant(), DeterministicBytes(manifest)));
  job.set_champion_blob(champion->blob());
  job.set_version(champion->version());
  if (IsWatched(model)) {
    const auto* shadow = FindVersion(model, model.previous());
    (*job.mutable_params())["shadow_version"] = shadow->version();
    (*job.mutable_params())["shadow_blob"] = shadow->blob();
    job.add_inputs(shadow->blob());
  }
  job.set_job(absl::StrCat(job.kind(), "-", Sha256Hex(DeterministicBytes(job)).substr(0, 24)));
  RETURN_IF_ERROR(parts_.jobs->Enqueue(job, kPrelabelPriority).status());
  for (const std::string& task : batch) asked_[task] = {champion->version(), now};
  return absl::OkStatus();
}

absl::StatusOr<int> ModelLoop::EnsurePrelabels(const store::v1::ProjectRecord& project,
                                               absl::Time now) {
  if (!project.settings().model_loop().prelabel()) return 0;
  const std::optional<store::v1::ModelRecord> model = parts_.registry->Model(project.project());
  if (!model.has_value() || model->champion().empty()) return 0;
  std::vector<std::string> waiting;
  for (std::string& task :
       parts_.view->WithoutPrelabel(project.project(), model->champion(), kPrelabelsInFlight)) {
    auto asked = asked_.find(task);
    if (asked != asked_.end() && asked->second.version == model->champion() &&
        now - asked->second.when < kAskAgain) {
      continue;
    }
    waiting.push_back(std::move(task));
  }
  int enqueued = 0;
  for (size_t begin = 0; begin < waiting.size(); begin += kPrelabelBatch, ++enqueued) {
    const size_t end = std::min(begin + kPrelabelBatch, waiting.size());
    RETURN_IF_ERROR(EnqueuePrelabels(*model, now,
                                     {waiting.begin() + static_cast<std::ptrdiff_t>(begin),
                                      waiting.begin() + static_cast<std::ptrdiff_t>(end)}));
  }
  return enqueued;
}

absl::StatusOr<int> ModelLoop::RunOnce(absl::Time now) {
  ASSIGN_OR_RETURN(int done, ApplyFinished(now));
  for (const store::v1::ProjectRecord& project : parts_.registry->Projects("", "", SIZE_MAX)) {
    RETURN_IF_ERROR(Watch(project, now));
    absl::StatusOr<int> trained = EnsureTraining(project, now);
    if (!trained.ok() && ReasonOf(trained.status()) != "REVISION_CHANGED") return trained.status();
    ASSIGN_OR_RETURN(int prelabels, EnsurePrelabels(project, now));
    ASSIGN_OR_RETURN(int checks, EnsureCheck(project, now));
    done += (trained.ok() ? *trained : 0) + prelabels + checks;
  }
  if (now - last_watch_ >= kWatchEvery) last_watch_ = now;
  if (now - last_enqueue_check_ >= kEnqueueCheck) {
    last_enqueue_check_ = now;
    // Tasks that ended need not be remembered.
    if (asked_.size() > 100'000) asked_.clear();
  }
  return done;
}

}  // namespace fairlead::learn
