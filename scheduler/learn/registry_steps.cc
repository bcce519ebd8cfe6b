#include "scheduler/learn/registry_steps.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "scheduler/learn/gate.h"
#include "scheduler/learn/manifests.h"
#include "scheduler/learn/model_loop.h"

namespace fairlead::learn {
namespace {

using fairlead::v1::ModelVersion;
using store::v1::ModelRecord;
using store::v1::ModelVersionRecord;

ModelVersionRecord* MutableVersion(ModelRecord& model, absl::string_view version) {
  for (ModelVersionRecord& record : *model.mutable_versions()) {
    if (record.version() == version) return &record;
  }
  return nullptr;
}

// The frozen test set decides; where a project has no gold, the validation split does.
GateDecision JudgeFirst(const ModelRecord& model, const std::map<std::string, double>& metrics) {
  const std::string split = metrics.count("test.count") > 0 ? "test" : "validation";
  const bool pairs = model.kind() == fairlead::v1::TASK_KIND_PAIR;
  // A pair model that guesses is right half the time; a reader that reads nothing never.
  return DecideFirst(metrics, absl::StrCat(split, pairs ? ".pair_accuracy" : ".exact_match"),
                     pairs ? 0.5 : 0.0);
}

GateDecision Judge(const ModelRecord& model, const ModelVersionRecord& version,
                   const std::optional<RoundEvidence>& evidence) {
  const std::map<std::string, double> metrics(version.metrics().begin(), version.metrics().end());
  if (GateDecision load = DecideLoad(metrics); !load.promote) return load;
  const ModelVersionRecord* champion = FindVersion(model, model.champion());
  if (champion == nullptr) return JudgeFirst(model, metrics);
  if (!evidence.has_value()) {
    return {false, "refused: the worker sent no readings of the judged items"};
  }
  if (evidence->champion_blob != champion->blob()) {
    return {false, absl::StrCat("refused: judged beside another model than ", model.champion())};
  }
  PairedDecision decision = DecidePaired(evidence->paired);
  return {decision.promote, std::move(decision.reason)};
}

void Crown(ModelRecord& model, ModelVersionRecord& version) {
  if (ModelVersionRecord* old = MutableVersion(model, model.champion())) {
    old->set_state(ModelVersion::RETIRED);
  }
  model.set_previous(model.champion());
  model.set_champion(version.version());
  version.set_state(ModelVersion::CHAMPION);
}

}  // namespace

absl::Status NoVersion(absl::string_view version) {
  return Error(absl::StatusCode::kNotFound, "VERSION_NOT_FOUND",
               absl::StrCat("no version ", version));
}

const ModelVersionRecord* FindVersion(const ModelRecord& model, absl::string_view version) {
  for (const ModelVersionRecord& record : model.versions()) {
    if (record.version() == version) return &record;
  }
  return nullptr;
}

bool Register(const store::v1::JobFinished& finished, const std::optional<RoundEvidence>& evidence,
              int64_t now_ms, ModelRecord& model) {
  ModelVersionRecord record;
  record.set_version(finished.job().version());
  record.set_blob(finished.result().artefact_blob());
  record.set_parent(model.champion());
  record.set_manifest_blob(finished.job().manifest_blob());
  *record.mutable_metrics() = finished.result().metrics();
  record.set_create_ms(now_ms);
  record.set_job(finished.job().job());
  record.set_evaluation_blob(finished.result().evaluation_blob());
  const GateDecision decision = Judge(model, record, evidence);
  record.set_gate_decision(decision.reason);
  record.set_state(ModelVersion::REFUSED);
  ModelVersionRecord& stored = *model.add_versions();
  stored = record;
  if (decision.promote) Crown(model, stored);
  if (model.pending().job() == finished.job().job()) model.clear_pending();
  return decision.promote;
}

absl::StatusOr<store::v1::JobRecord> BeginRebuild(absl::string_view version,
                                                  const RebuildSource& data, int64_t now_ms,
                                                  ModelRecord& model) {
  ModelVersionRecord* record = MutableVersion(model, version);
  if (record == nullptr) return NoVersion(version);
  if (record->has_rebuild() && record->rebuild().end_ms() == 0) return record->rebuild().job();
  store::v1::JobRecord job;
  job.set_kind(absl::StrCat("train-", ModelKindOf(model.kind())));
  job.set_tenant(model.model().substr(0, model.model().find('/')));
  job.set_model(model.model());
  job.set_manifest_blob(data.manifest_blob);
  if (!record->parent().empty()) {
    const ModelVersionRecord* parent = FindVersion(model, record->parent());
    if (parent == nullptr) {
      return Error(absl::StatusCode::kFailedPrecondition, "STATE_PARENT_GONE",
                   absl::StrCat(record->parent(), ", from which it was trained, is not known"));
    }
    job.set_champion_blob(parent->blob());
  }
  job.set_version(record->version());
  if (record->metrics().contains("fresh")) (*job.mutable_params())["fresh"] = "1";
  (*job.mutable_params())["rebuild"] = absl::StrCat(now_ms);  // Another job than the last one.
  job.set_job(
      absl::StrCat("re", job.kind(), "-", Sha256Hex(DeterministicBytes(job)).substr(0, 24)));
  record->clear_rebuild();
  *record->mutable_rebuild()->mutable_job() = job;
  record->mutable_rebuild()->set_deleted_items(data.deleted_items);
  return job;
}

bool EndRebuild(const store::v1::JobFinished& finished, int64_t now_ms, ModelRecord& model) {
  for (ModelVersionRecord& record : *model.mutable_versions()) {
    if (!record.has_rebuild() || record.rebuild().job().job() != finished.job().job()) continue;
    store::v1::RebuildRecord& rebuild = *record.mutable_rebuild();
    rebuild.set_end_ms(now_ms);
    rebuild.set_blob(finished.result().artefact_blob());
    rebuild.set_error(finished.dead() ? finished.error() : "");
    return true;
  }
  return false;
}

absl::Status Promote(absl::string_view version, absl::string_view why, ModelRecord& model) {
  ModelVersionRecord* record = MutableVersion(model, version);
  if (record == nullptr) return NoVersion(version);
  if (model.champion() == version) {
    return Error(absl::StatusCode::kFailedPrecondition, "STATE_CHAMPION",
                 absl::StrCat(version, " is the champion"));
  }
  record->set_gate_decision(absl::StrCat(record->gate_decision(), "; ", why));
  Crown(model, *record);
  return absl::OkStatus();
}

absl::Status Rollback(ModelRecord& model) {
  ModelVersionRecord* previous = MutableVersion(model, model.previous());
  if (previous == nullptr) {
    return Error(absl::StatusCode::kFailedPrecondition, "STATE_NO_PREVIOUS",
                 "there is no previous champion to go back to");
  }
  Crown(model, *previous);
  return absl::OkStatus();
}

}  // namespace fairlead::learn
