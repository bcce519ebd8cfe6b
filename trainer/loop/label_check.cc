#include "trainer/label_check.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status.h"

namespace fairlead::trainer {
namespace {

constexpr size_t kFewest = 10;  // Examples a fold.
constexpr uint64_t kValidationPart = 10;

uint64_t FoldOf(const OcrExample& example, int folds) {
  return StableHash64(absl::StrCat("label-check/", example.id)) % static_cast<uint64_t>(folds);
}

// What a fold's model learns from: all other folds, a tenth of it for validation.
std::vector<OcrExample> OtherFolds(absl::Span<const OcrExample> examples, int fold, int folds) {
  std::vector<OcrExample> others;
  for (const OcrExample& example : examples) {
    if (FoldOf(example, folds) == static_cast<uint64_t>(fold)) continue;
    OcrExample& other = others.emplace_back(example);
    const uint64_t part = StableHash64(absl::StrCat("label-check-part/", example.id));
    other.split = part % kValidationPart == 0 ? Split::kValidation : Split::kTrain;
  }
  return others;
}

absl::Status ReadFold(absl::Span<const OcrExample> examples, const std::vector<size_t>& held,
                      const std::string& path, const LabelCheckOptions& options,
                      std::vector<LabelDoubt>& doubts) {
  ASSIGN_OR_RETURN(const auto model,
                   OcrModel::Load(path, options.training.device, options.training.threads));
  std::vector<GrayImage> images;
  std::vector<OcrExample> labelled;
  for (const size_t i : held) {
    images.push_back(examples[i].image);
    labelled.push_back(examples[i]);
  }
  ASSIGN_OR_RETURN(const std::vector<OcrPrediction> read, model->Predict(images));
  ASSIGN_OR_RETURN(const std::vector<OcrJudgement> judged, model->Judge(labelled));
  for (size_t k = 0; k < held.size(); ++k) {
    if (judged[k].right || read[k].confidence < options.least_confidence) continue;
    const double odds =
        std::log(std::max(read[k].confidence, 1e-12)) + judged[k].negative_log_likelihood;
    if (odds < options.least_odds) continue;
    doubts.push_back({held[k], read[k].text, read[k].confidence, odds});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<LabelDoubt>> CheckLabels(absl::Span<const OcrExample> examples,
                                                    const LabelCheckOptions& options) {
  if (options.folds < 2) return FieldError("folds", "must be at least 2");
  std::vector<std::vector<size_t>> held(static_cast<size_t>(options.folds));
  for (size_t i = 0; i < examples.size(); ++i) {
    held[FoldOf(examples[i], options.folds)].push_back(i);
  }
  for (const std::vector<size_t>& fold : held) {
    if (fold.size() >= kFewest) continue;
    return FieldError("examples", absl::StrCat(examples.size(), " are too few to check: ", kFewest,
                                               " a fold are needed"));
  }
  OcrTrainOptions training = options.training;
  training.warm_start.clear();
  training.checkpoint_directory.clear();
  std::vector<LabelDoubt> doubts;
  for (int fold = 0; fold < options.folds; ++fold) {
    if (options.on_progress) {
      training.on_progress = [&options, fold](const TrainProgress& progress) {
        options.on_progress(fold, progress);
      };
    }
    const std::string path = absl::StrCat(options.scratch, "/fold-", fold, ".safetensors");
    RETURN_IF_ERROR(TrainOcr(OtherFolds(examples, fold, options.folds), training, path).status());
    RETURN_IF_ERROR(ReadFold(examples, held[static_cast<size_t>(fold)], path, options, doubts));
  }
  std::sort(doubts.begin(), doubts.end(), [](const LabelDoubt& a, const LabelDoubt& b) {
    return a.odds != b.odds ? a.odds > b.odds : a.example < b.example;
  });
  return doubts;
}

}  // namespace fairlead::trainer
