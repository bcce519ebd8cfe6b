#include "worker/train_job.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/base/file.h"
#include "common/base/metrics.h"
#include "common/base/status.h"
#include "trainer/train.h"
#include "worker/job_inputs.h"
#include "worker/judging.h"

namespace fairlead::worker {
namespace {

using Item = store::v1::DatasetManifest::Item;

absl::StatusOr<trainer::Split> SplitOf(const Item& item) {
  switch (item.split()) {
    case store::v1::DatasetManifest::TRAIN:
      return trainer::Split::kTrain;
    case store::v1::DatasetManifest::VALIDATION:
      return trainer::Split::kValidation;
    case store::v1::DatasetManifest::TEST:
      return trainer::Split::kTest;
    case store::v1::DatasetManifest::WINDOW:
      return trainer::Split::kTest;  // Of this round.
    default:
      break;
  }
  return FieldError("items.split", absl::StrCat("item ", item.id(), " is in no split"));
}

bool IsJudged(const Item& item) {
  return item.split() == store::v1::DatasetManifest::TEST ||
         item.split() == store::v1::DatasetManifest::WINDOW;
}

// What a round works on. The window is judged, and neither trained on nor part of the frozen test
// set, whose metrics stay comparable between rounds.
template <typename Example>
struct Round {
  std::vector<Example> examples;  // Without the window.
  std::vector<Example> judged;    // Test set and window.
  int unusable = 0;
};

template <typename Example>
void AddTo(Round<Example>& round, const Item& item, Example example) {
  if (IsJudged(item)) round.judged.push_back(example);
  if (item.split() != store::v1::DatasetManifest::WINDOW) {
    round.examples.push_back(std::move(example));
  }
}

absl::StatusOr<Round<trainer::OcrExample>> OcrRound(BlobStore& blobs,
                                                    const store::v1::JobRecord& job,
                                                    const store::v1::DatasetManifest& manifest,
                                                    JobContext& context) {
  std::vector<std::string> ids;
  for (const Item& item : manifest.items()) ids.push_back(item.payload().image_text().blob());
  context.SetProgress(absl::StrCat("fetching ", ids.size(), " images"));
  ASSIGN_OR_RETURN(std::vector<FetchedImage> images,
                   FetchImages(blobs, job.tenant(), ids, context));
  Round<trainer::OcrExample> round;
  for (int i = 0; i < manifest.items_size(); ++i) {
    if (!images[i].usable) {
      ++round.unusable;
      continue;
    }
    const Item& item = manifest.items(i);
    trainer::OcrExample example;
    example.id = item.id();
    example.image = std::move(images[i].image);
    example.text = item.answer().text();
    example.weight = item.weight();
    ASSIGN_OR_RETURN(example.split, SplitOf(item));
    AddTo(round, item, std::move(example));
  }
  return round;
}

absl::StatusOr<trainer::OcrTrainOptions> OcrOptions(const store::v1::JobRecord& job) {
  trainer::OcrTrainOptions options;
  RETURN_IF_ERROR(ReadParam(job, "epochs", &options.epochs));
  RETURN_IF_ERROR(ReadParam(job, "batch", &options.batch));
  RETURN_IF_ERROR(ReadParam(job, "seed", &options.seed));
  RETURN_IF_ERROR(ReadParam(job, "variant", &options.variant));
  RETURN_IF_ERROR(ReadParam(job, "head", &options.head));
  RETURN_IF_ERROR(ReadParam(job, "peak_learning_rate", &options.peak_learning_rate));
  RETURN_IF_ERROR(ReadParam(job, "image_height", &options.image_height));
  RETURN_IF_ERROR(ReadParam(job, "image_width", &options.image_width));
  return options;
}

absl::StatusOr<Round<trainer::PreferenceItem>> PairRound(
    const store::v1::DatasetManifest& manifest) {
  Round<trainer::PreferenceItem> round;
  for (const Item& item : manifest.items()) {
    const v1::Payload::Pair& payload = item.payload().pair();
    trainer::PreferenceItem pair;
    pair.id = item.id();
    pair.prompt = payload.prompt();
    pair.responses = {payload.response_a(), payload.response_b()};
    pair.weight = item.weight();
    double preference_a = 0.5;
    switch (item.answer().preferred()) {
      case v1::Answer::SIDE_A:
        preference_a = 1;
        break;
      case v1::Answer::SIDE_B:
        preference_a = 0;
        break;
      case v1::Answer::SIDE_TIE:
        break;
      default:
        return FieldError("items.answer", absl::StrCat("item ", item.id(), " prefers no side"));
    }
    pair.comparisons = {{0, 1, preference_a}};
    ASSIGN_OR_RETURN(pair.split, SplitOf(item));
    AddTo(round, item, std::move(pair));
  }
  return round;
}

void PublishProgress(const trainer::TrainProgress& now) {
  GaugeOf("fairlead_training_images_per_second", "Of the OCR training that runs or ran last.")
      .Set(now.images_per_second);
  GaugeOf("fairlead_training_loss", "Mean loss of the present epoch.").Set(now.train_loss);
  GaugeOf("fairlead_training_gradient_norm", "Mean of the present epoch, before clipping.")
      .Set(now.gradient_norm);
  GaugeOf("fairlead_training_clipped_ratio", "Units whose gradients were clipped; -1 on a GPU.")
      .Set(now.clipped_share);
}

// Uploads the model and fills in what every training result has.
absl::StatusOr<store::v1::JobResult> Deliver(BlobStore& blobs, const store::v1::JobRecord& job,
                                             const std::string& model_path,
                                             const std::map<std::string, double>& metrics,
                                             store::v1::Evaluation evaluation,
                                             const std::string& device, absl::Time start) {
  ASSIGN_OR_RETURN(const std::string model, ReadFile(model_path));
  absl::StatusOr<std::string> blob = blobs.Put(job.tenant(), model);
  if (!blob.ok()) return Annotate(blob.status(), "uploading the model");
  store::v1::JobResult result;
  result.set_artefact_blob(*blob);
  if (!job.champion_blob().empty()) {
    evaluation.set_champion_blob(job.champion_blob());
    absl::StatusOr<std::string> readings = blobs.Put(job.tenant(), evaluation.SerializeAsString());
    if (!readings.ok()) return Annotate(readings.status(), "uploading the evaluation");
    result.set_evaluation_blob(*readings);
  }
  for (const auto& [name, value] : metrics) (*result.mutable_metrics())[name] = value;
  result.set_device(device);
  result.set_seconds(absl::ToDoubleSeconds(absl::Now() - start));
  return result;
}

}  // namespace

TrainOcrHandler::TrainOcrHandler(BlobsOfJob blobs, Scratch scratch, TrainOptions options)
    : blobs_(std::move(blobs)), scratch_(std::move(scratch)), options_(std::move(options)) {}

absl::StatusOr<store::v1::JobResult> TrainOcrHandler::Run(const store::v1::JobRecord& job,
                                                          JobContext& context) {
  const absl::Time start = absl::Now();
  const std::unique_ptr<BlobStore> blobs = blobs_(job);
  ASSIGN_OR_RETURN(const std::string directory, scratch_.JobDirectory(job.job()));
  ASSIGN_OR_RETURN(trainer::OcrTrainOptions options, OcrOptions(job));
  ASSIGN_OR_RETURN(const store::v1::DatasetManifest manifest, FetchDataset(*blobs, job));
  ASSIGN_OR_RETURN(const Round<trainer::OcrExample> round,
                   OcrRound(*blobs, job, manifest, context));
  ASSIGN_OR_RETURN(options.warm_start,
                   FetchChampion(*blobs, job, absl::StrCat(directory, "/champion")));
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
                   trainer::TrainOcr(round.examples, options, absl::StrCat(directory, "/model")));
  store::v1::Evaluation evaluation;
  if (!options.warm_start.empty()) {
    const PredictOptions predict = {options_.threads, options_.device};
    ASSIGN_OR_RETURN(evaluation, JudgeOcr({trained.model_path, options.warm_start}, round.judged,
                                          predict, context));
  }
  std::map<std::string, double> metrics = trained.metrics;
  metrics["items"] = manifest.items_size();
  metrics["items_unusable"] = round.unusable;
  return Deliver(*blobs, job, trained.model_path, metrics, evaluation, options_.device, start);
}

void TrainOcrHandler::Forget(const store::v1::JobRecord& job) { scratch_.Forget(job.job()); }

TrainRewardHandler::TrainRewardHandler(BlobsOfJob blobs, Scratch scratch)
    : blobs_(std::move(blobs)), scratch_(std::move(scratch)) {}

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
  const std::string path = absl::StrCat(directory, "/model");
  ASSIGN_OR_RETURN(const trainer::RewardTrainResult trained,
                   trainer::TrainReward(round.examples, options, path));
  RETURN_IF_ERROR(context.Check());
  store::v1::Evaluation evaluation;
  if (!champion.empty()) {
    ASSIGN_OR_RETURN(evaluation, JudgePairs({path, champion}, round.judged, context));
  }
  return Deliver(*blobs, job, path, trained.metrics, evaluation, "cpu", start);
}

void TrainRewardHandler::Forget(const store::v1::JobRecord& job) { scratch_.Forget(job.job()); }

}  // namespace fairlead::worker
