#include "worker/prelabel_job.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "trainer/train.h"
#include "worker/job_inputs.h"

namespace fairlead::worker {
namespace {

using Item = store::v1::PrelabelManifest::Item;

// The models that predict, as files.
struct Files {
  std::string champion;
  Shadow shadow;
};

// INVALID_ARGUMENT when the job names no champion.
absl::StatusOr<Files> FetchModels(BlobStore& blobs, const Scratch& scratch,
                                  const store::v1::JobRecord& job) {
  if (job.champion_blob().empty()) return FieldError("champion_blob", "the job names no model");
  ASSIGN_OR_RETURN(const std::string directory, scratch.JobDirectory(job.job()));
  Files files;
  ASSIGN_OR_RETURN(files.champion, FetchChampion(blobs, job, absl::StrCat(directory, "/champion")));
  ASSIGN_OR_RETURN(files.shadow, FetchShadow(blobs, job, absl::StrCat(directory, "/shadow")));
  return files;
}

store::v1::PrelabelRecord* AddPrelabel(const Item& item, const std::string& version,
                                       double confidence, store::v1::JobResult* result) {
  store::v1::PrelabelRecord* prelabel = result->add_prelabels();
  prelabel->set_task(item.task());
  prelabel->set_confidence(confidence);
  prelabel->set_model_version(version);
  return prelabel;
}

v1::Answer::Side Preferred(double a) { return a >= 0.5 ? v1::Answer::SIDE_A : v1::Answer::SIDE_B; }

void Finish(const store::v1::PrelabelManifest& manifest, const std::string& device,
            absl::Time start, store::v1::JobResult* result) {
  (*result->mutable_metrics())["items"] = manifest.items_size();
  (*result->mutable_metrics())["items_unusable"] = manifest.items_size() - result->prelabels_size();
  result->set_device(device);
  result->set_seconds(absl::ToDoubleSeconds(absl::Now() - start));
}

}  // namespace

PrelabelOcrHandler::PrelabelOcrHandler(BlobsOfJob blobs, Scratch scratch, PredictOptions options)
    : blobs_(std::move(blobs)), scratch_(std::move(scratch)), options_(std::move(options)) {}

absl::StatusOr<store::v1::JobResult> PrelabelOcrHandler::Run(const store::v1::JobRecord& job,
                                                             JobContext& context) {
  const absl::Time start = absl::Now();
  const std::unique_ptr<BlobStore> blobs = blobs_(job);
  ASSIGN_OR_RETURN(const store::v1::PrelabelManifest manifest, FetchPrelabelItems(*blobs, job));
  ASSIGN_OR_RETURN(const Files files, FetchModels(*blobs, scratch_, job));
  ASSIGN_OR_RETURN(const std::unique_ptr<trainer::OcrModel> model,
                   trainer::OcrModel::Load(files.champion, options_.device, options_.threads));
  std::unique_ptr<trainer::OcrModel> shadow;
  if (!files.shadow.version.empty()) {
    ASSIGN_OR_RETURN(shadow,
                     trainer::OcrModel::Load(files.shadow.path, options_.device, options_.threads));
  }
  const std::string& version = job.version().empty() ? manifest.model_version() : job.version();
  store::v1::JobResult result;
  for (int first = 0; first < manifest.items_size(); first += options_.batch) {
    RETURN_IF_ERROR(context.Check());
    const int last = std::min(first + options_.batch, manifest.items_size());
    std::vector<std::string> ids;
    for (int i = first; i < last; ++i) {
      ids.push_back(manifest.items(i).payload().image_text().blob());
    }
    ASSIGN_OR_RETURN(std::vector<FetchedImage> fetched,
                     FetchImages(*blobs, job.tenant(), ids, context));
    std::vector<GrayImage> images;
    std::vector<int> items;
    for (int i = first; i < last; ++i) {
      if (!fetched[i - first].usable) continue;
      images.push_back(std::move(fetched[i - first].image));
      items.push_back(i);
    }
    if (images.empty()) continue;
    ASSIGN_OR_RETURN(const std::vector<trainer::OcrPrediction> predictions, model->Predict(images));
    std::vector<trainer::OcrPrediction> beside;
    if (shadow != nullptr) {
      ASSIGN_OR_RETURN(beside, shadow->Predict(images));
    }
    for (size_t k = 0; k < items.size(); ++k) {
      store::v1::PrelabelRecord* prelabel =
          AddPrelabel(manifest.items(items[k]), version, predictions[k].confidence, &result);
      prelabel->mutable_answer()->set_text(predictions[k].text);
      if (shadow == nullptr) continue;
      prelabel->mutable_shadow_answer()->set_text(beside[k].text);
      prelabel->set_shadow_version(files.shadow.version);
    }
    context.SetProgress(absl::StrCat("read ", last, "/", manifest.items_size(), " images"));
  }
  Finish(manifest, options_.device, start, &result);
  return result;
}

void PrelabelOcrHandler::Forget(const store::v1::JobRecord& job) { scratch_.Forget(job.job()); }

PrelabelRewardHandler::PrelabelRewardHandler(BlobsOfJob blobs, Scratch scratch)
    : blobs_(std::move(blobs)), scratch_(std::move(scratch)) {}

absl::StatusOr<store::v1::JobResult> PrelabelRewardHandler::Run(const store::v1::JobRecord& job,
                                                                JobContext& context) {
  const absl::Time start = absl::Now();
  const std::unique_ptr<BlobStore> blobs = blobs_(job);
  ASSIGN_OR_RETURN(const store::v1::PrelabelManifest manifest, FetchPrelabelItems(*blobs, job));
  ASSIGN_OR_RETURN(const Files files, FetchModels(*blobs, scratch_, job));
  ASSIGN_OR_RETURN(const std::unique_ptr<trainer::RewardModel> model,
                   trainer::RewardModel::Load(files.champion));
  std::unique_ptr<trainer::RewardModel> shadow;
  if (!files.shadow.version.empty()) {
    ASSIGN_OR_RETURN(shadow, trainer::RewardModel::Load(files.shadow.path));
  }
  const std::string& version = job.version().empty() ? manifest.model_version() : job.version();
  store::v1::JobResult result;
  for (const Item& item : manifest.items()) {
    RETURN_IF_ERROR(context.Check());
    const v1::Payload::Pair& pair = item.payload().pair();
    const double a = model->PreferA(pair.prompt(), pair.response_a(), pair.response_b());
    store::v1::PrelabelRecord* prelabel = AddPrelabel(item, version, std::max(a, 1 - a), &result);
    prelabel->mutable_answer()->set_preferred(Preferred(a));
    if (shadow == nullptr) continue;
    prelabel->mutable_shadow_answer()->set_preferred(
        Preferred(shadow->PreferA(pair.prompt(), pair.response_a(), pair.response_b())));
    prelabel->set_shadow_version(files.shadow.version);
  }
  Finish(manifest, "cpu", start, &result);
  return result;
}

void PrelabelRewardHandler::Forget(const store::v1::JobRecord& job) { scratch_.Forget(job.job()); }

}  // namespace fairlead::worker
