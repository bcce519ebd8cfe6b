#include "worker/check_job.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "trainer/label_check.h"
#include "worker/job_inputs.h"
#include "worker/round.h"

namespace fairlead::worker {
namespace {

constexpr size_t kMostDoubts = 1000;

// All labels that people gave, whatever they are for in training.
store::v1::DatasetManifest WithoutGold(const store::v1::DatasetManifest& manifest) {
  store::v1::DatasetManifest labels;
  for (const store::v1::DatasetManifest::Item& item : manifest.items()) {
    if (item.split() == store::v1::DatasetManifest::TEST) continue;
    store::v1::DatasetManifest::Item& kept = *labels.add_items();
    kept = item;
    kept.set_split(store::v1::DatasetManifest::TRAIN);
  }
  return labels;
}

}  // namespace

CheckOcrHandler::CheckOcrHandler(BlobsOfJob blobs, Scratch scratch, TrainOptions options)
    : blobs_(std::move(blobs)), scratch_(std::move(scratch)), options_(std::move(options)) {}

absl::StatusOr<store::v1::JobResult> CheckOcrHandler::Run(const store::v1::JobRecord& job,
                                                          JobContext& context) {
  const absl::Time start = absl::Now();
  const std::unique_ptr<BlobStore> blobs = blobs_(job);
  trainer::LabelCheckOptions options;
  ASSIGN_OR_RETURN(options.training, OcrOptions(job));
  ASSIGN_OR_RETURN(options.scratch, scratch_.JobDirectory(job.job()));
  ASSIGN_OR_RETURN(const store::v1::DatasetManifest manifest, FetchDataset(*blobs, job));
  const ImagesOf images = [&](const std::vector<std::string>& ids) {
    return FetchImages(*blobs, job.tenant(), ids, context);
  };
  ASSIGN_OR_RETURN(const Round<trainer::OcrExample> round,
                   OcrRound(WithoutGold(manifest), images, context));
  RETURN_IF_ERROR(context.Check());
  options.training.threads = options_.threads;
  options.training.device = options_.device;
  options.training.command = [&context] { return context.command(); };
  options.on_progress = [&](int fold, const trainer::TrainProgress& now) {
    context.SetProgress(
        absl::StrFormat("fold %d/%d epoch %d/%d", fold + 1, options.folds, now.epoch, now.epochs));
  };
  ASSIGN_OR_RETURN(const std::vector<trainer::LabelDoubt> doubts,
                   trainer::CheckLabels(round.examples, options));
  store::v1::JobResult result;
  for (size_t i = 0; i < std::min(doubts.size(), kMostDoubts); ++i) {
    store::v1::LabelDoubt& doubt = *result.add_doubts();
    doubt.set_task(round.examples[doubts[i].example].id);
    doubt.mutable_read()->set_text(doubts[i].read);
    doubt.set_confidence(doubts[i].confidence);
    doubt.set_odds(doubts[i].odds);
  }
  (*result.mutable_metrics())["items"] = static_cast<double>(round.examples.size());
  (*result.mutable_metrics())["items_unusable"] = round.unusable;
  (*result.mutable_metrics())["doubts"] = static_cast<double>(doubts.size());
  result.set_device(options_.device);
  result.set_seconds(absl::ToDoubleSeconds(absl::Now() - start));
  return result;
}

void CheckOcrHandler::Forget(const store::v1::JobRecord& job) { scratch_.Forget(job.job()); }

}  // namespace fairlead::worker
