#include "scheduler/learn/label_checks.h"

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "scheduler/learn/manifests.h"
#include "scheduler/learn/model_loop.h"
#include "scheduler/quality/redundancy.h"

namespace fairlead::learn {

bool CheckIsDue(const store::v1::ProjectRecord& project, const store::v1::ModelRecord& model,
                int64_t labels) {
  const int32_t after = project.settings().model_loop().check_after_labels();
  return after > 0 && model.checking().job().empty() && !model.champion().empty() &&
         labels - model.checked_labels() >= after;
}

store::v1::JobRecord BeginCheck(const std::string& manifest_blob, int64_t labels,
                                store::v1::ModelRecord& model) {
  store::v1::JobRecord& job = *model.mutable_checking();
  job.Clear();
  job.set_kind(absl::StrCat("check-", ModelKindOf(model.kind())));
  job.set_tenant(model.model().substr(0, model.model().find('/')));
  job.set_model(model.model());
  job.set_manifest_blob(manifest_blob);
  job.set_job(absl::StrCat(job.kind(), "-", Sha256Hex(DeterministicBytes(job)).substr(0, 24)));
  model.set_checked_labels(labels);
  return job;
}

bool EndCheck(const store::v1::JobFinished& finished, int64_t doubted,
              store::v1::ModelRecord& model) {
  if (model.checking().job() != finished.job().job()) return false;
  model.clear_checking();
  model.set_doubted_labels(model.doubted_labels() + doubted);
  return true;
}

store::v1::TaskRecord CheckTask(const store::v1::ProjectRecord& project,
                                const store::v1::DatasetManifest::Item& item, const std::string& id,
                                int64_t now_ms) {
  const fairlead::v1::ProjectSettings& settings = project.settings();
  store::v1::TaskRecord record;
  record.set_task(id);
  record.set_project(project.project());
  *record.mutable_payload() = item.payload();
  record.set_group(item.group());
  record.set_create_ms(now_ms);
  record.set_expire_ms(now_ms + settings.task_expiry().seconds() * 1000 +
                       settings.task_expiry().nanos() / 1'000'000);
  record.set_want(quality::LimitsOfCheck(quality::Limits(settings.redundancy())).min_answers);
  record.set_checks(item.id());
  return record;
}

}  // namespace fairlead::learn
