#include "worker/train_job.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/base/file.h"
#include "common/base/metrics.h"
#include "common/base/status.h"
#include "trainer/train.h"
#include "worker/job_inputs.h"
#include "worker/judging.h"
#include "worker/round.h"

namespace fairlead::worker {
namespace {

void PublishProgress(const trainer::TrainProgress& now) {
  GaugeOf("fairlead_training_images_per_second", "Of the OCR training that runs or ran last.")
      .Set(now.images_per_second);
  GaugeOf("fairlead_training_loss", "Mean loss of the present epoch.").Set(now.train_loss);
  GaugeOf("fairlead_training_gradient_norm", "Mean of the present epoch, before clipping.")
      .Set(now.gradient_norm);
  GaugeOf("fairlead_training_clipped_ratio", "Units whose gradients were clipped; -1 on a GPU.")
      .Set(now.clipped_share);
}

// Where the load test looks for it.
std::string ModelIn(const std::string& directory) {
  return absl::StrCat(directory, "/model.safetensors");
}

// Uploads the model and what was read beside the champion, if anything was, and fills in what every
// training result has.
absl::StatusOr<store::v1::JobResult> Deliver(BlobStore& blobs, const store::v1::JobRecord& job,
                                             const std::string& model_path,
                                             const std::map<std::string, double>& metrics,
                                             std::optional<store::v1::Evaluation> evaluation,
                                             const std::string& device, absl::Time start) {
  ASSIGN_OR_RETURN(const std::string model, ReadFile(model_path));
  absl::StatusOr<std::string> blob = blobs.Put(job.tenant(), model);
  if (!blob.ok()) return Annotate(blob.status(), "uploading the model");
  store::v1::JobResult result;
  result.set_artefact_blob(*blob);
  if (evaluation.has_value()) {
    evaluation->set_champion_blob(job.champion_blob());
    absl::StatusOr<std::string> readings = blobs.Put(job.tenant(), evaluation->SerializeAsString());
    if (!readings.ok()) return Annotate(readings.status(), "uploading the evaluation");
    result.set_evaluation_blob(*readings);
  }
  for (const auto& [name, value] : metrics) (*result.mutable_metrics())[name] = value;
  result.set_device(device);
  result.set_seconds(absl::ToDoubleSeconds(absl::Now() - start));
  return result;
}

}  // namespace

TrainOcrHandler::TrainOcrHandler(BlobsOfJob blobs, Scratch scratch, TrainOptions options,
                                 LoadTestOptions load_test)
    : blobs_(std::move(blobs)),
      scratch_(std::move(scratch)),
      options_(std::move(options)),
      load_test_(std::move(load_test)),
      shards_(absl::StrCat(scratch_.root(), "/shards"), options_.shard_bytes) {}

absl::StatusOr<Round<trainer::OcrExample>> TrainOcrHandler::RoundOf(
    const store::v1::JobRecord& job, const store::v1::DatasetManifest& manifest, BlobStore& blobs,
    trainer::OcrTrainOptions& options, JobContext& context) {
  if (options.warm_start.empty()) {
    return OcrRound(
        manifest,
        [&](const std::vector<std::string>& ids) {
          return FetchImages(blobs, job.tenant(), ids, context);
        },
        context);
  }
  absl::StatusOr<trainer::OcrInputSize> size = trainer::InputSizeOf(options.warm_start);
  if (!size.ok()) return Annotate(size.status(), "the champion");
  if (options.image_height == 0) options.image_height = size->height;
  if (options.image_width == 0) options.image_width = size->width;
  *size = {options.image_height, options.image_width};
  return OcrRound(
      manifest,
      [&](const std::vector<std::string>& ids) {
        return shards_.Fetch(blobs, job.tenant(), ids, *size, context);
      },
      context);
}

absl::StatusOr<store::v1::JobResult> TrainOcrHandler::Run(const store::v1::JobRecord& job,
                                                          JobContext& context) {
  const absl::Time start = absl::Now();
  const std::unique_ptr<BlobStore> blobs = blobs_(job);
  ASSIGN_OR_RETURN(const std::string directory, scratch_.JobDirectory(job.job()));
  ASSIGN_OR_RETURN(trainer::OcrTrainOptions options, OcrOptions(job));
  ASSIGN_OR_RETURN(const store::v1::DatasetManifest manifest, FetchDataset(*blobs, job));
  ASSIGN_OR_RETURN(const std::string champion,
                   FetchChampion(*blobs, job, absl::StrCat(directory, "/champion")));
  int fresh = 0;
  RETURN_IF_ERROR(ReadParam(job, "fresh", &fresh));
  if (fresh == 0) options.warm_start = champion;
  ASSIGN_OR_RETURN(const Round<trainer::OcrExample> round,
                   RoundOf(job, manifest, *blobs, options, context));
  RETURN_IF_ERROR(context.Check());
  options.threads = options_.threads;
  options.device = options_.device;
  options.checkpoint_directory = absl::StrCat(directory, "/checkpoints");
  RETURN_IF_ERROR(CreateDirectories(options.checkpoint_directory));
  options.checkpoint_seconds = options_.checkpoint_seconds;
  options.command = [&context] { return context.command(); };
  options.on_progress = [&context](const trainer::TrainProgress& now) {
    PublishProgress(now);
    context.SetProgress(absl::StrFormat("epoch %d/%d %.0f img/s loss %.2f", now.epoch, now.epochs,
                                        now.images_per_second, now.train_loss));
  };
  ASSIGN_OR_RETURN(const trainer::OcrTrainResult trained,
                   trainer::TrainOcr(round.examples, options, ModelIn(directory)));
  ASSIGN_OR_RETURN(const LoadTest load,
                   TestOcrFile(directory, *trained.reader, round, load_test_, context));
  std::optional<store::v1::Evaluation> evaluation;
  if (!champion.empty() && load.passed()) {
    const PredictOptions predict = {options_.threads, options_.device};
    ASSIGN_OR_RETURN(evaluation,
                     JudgeOcr({trained.model_path, champion}, round.judged, predict, context));
  }
  std::map<std::string, double> metrics = trained.metrics;
  metrics["items"] = manifest.items_size();
  metrics["items_unusable"] = round.unusable + static_cast<double>(trained.set_aside.size());
  if (!options.warm_start.empty()) {
    metrics["items_from_shards"] = static_cast<double>(shards_.found());
  }
  load.AddTo(metrics);
  if (fresh != 0) metrics["fresh"] = 1;
  return Deliver(*blobs, job, trained.model_path, metrics, std::move(evaluation), options_.device,
                 start);
}

void TrainOcrHandler::Forget(const store::v1::JobRecord& job) { scratch_.Forget(job.job()); }

TrainRewardHandler::TrainRewardHandler(BlobsOfJob blobs, Scratch scratch, LoadTestOptions load_test)
    : blobs_(std::move(blobs)), scratch_(std::move(scratch)), load_test_(std::move(load_test)) {}

absl::StatusOr<store::v1::JobResult> TrainRewardHandler::Run(const store::v1::JobRecord& job,
                                                             JobContext& context) {
  const absl::Time start = absl::Now();
  const std::unique_ptr<BlobStore> blobs = blobs_(job);
  trainer::RewardTrainOptions options;
  RETURN_IF_ERROR(ReadParam(job, "bits", &options.bits));
  RETURN_IF_ERROR(ReadParam(job, "strength", &options.strength));
  RETURN_IF_ERROR(ReadParam(job, "seed", &options.seed));
  ASSIGN_OR_RETURN(const std::string directory, scratch_.JobDirectory(job.job()));
  ASSIGN_OR_RETURN(const store::v1::DatasetManifest manifest, FetchDataset(*blobs, job));
  ASSIGN_OR_RETURN(const Round<trainer::PreferenceItem> round, PairRound(manifest));
  ASSIGN_OR_RETURN(const std::string champion,
                   FetchChampion(*blobs, job, absl::StrCat(directory, "/champion")));
  RETURN_IF_ERROR(context.Check());
  context.SetProgress(absl::StrCat("learning from ", round.examples.size(), " pairs"));
  const std::string path = ModelIn(directory);
  ASSIGN_OR_RETURN(const trainer::RewardTrainResult trained,
                   trainer::TrainReward(round.examples, options, path));
  ASSIGN_OR_RETURN(const LoadTest load,
                   TestRewardFile(directory, *trained.scorer, round, load_test_, context));
  std::optional<store::v1::Evaluation> evaluation;
  if (!champion.empty() && load.passed()) {
    ASSIGN_OR_RETURN(evaluation, JudgePairs({path, champion}, round.judged, context));
  }
  std::map<std::string, double> metrics = trained.metrics;
  load.AddTo(metrics);
  return Deliver(*blobs, job, path, metrics, std::move(evaluation), "cpu", start);
}

void TrainRewardHandler::Forget(const store::v1::JobRecord& job) { scratch_.Forget(job.job()); }

}  // namespace fairlead::worker
