#include "worker/round.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

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
    case store::v1::DatasetManifest::WINDOW:  // Of this round only.
      return trainer::Split::kTest;
    default:
      break;
  }
  return FieldError("items.split", absl::StrCat("item ", item.id(), " is in no split"));
}

bool IsJudged(const Item& item) {
  return item.split() == store::v1::DatasetManifest::TEST ||
         item.split() == store::v1::DatasetManifest::WINDOW;
}

template <typename Example>
void AddTo(Round<Example>& round, const Item& item, Example example) {
  if (IsJudged(item)) round.judged.push_back(example);
  if (item.split() != store::v1::DatasetManifest::WINDOW) {
    round.examples.push_back(std::move(example));
  }
}

}  // namespace

absl::StatusOr<Round<trainer::OcrExample>> OcrRound(const store::v1::DatasetManifest& manifest,
                                                    const ImagesOf& images_of,
                                                    JobContext& context) {
  std::vector<std::string> ids;
  for (const Item& item : manifest.items()) ids.push_back(item.payload().image_text().blob());
  context.SetProgress(absl::StrCat("fetching ", ids.size(), " images"));
  ASSIGN_OR_RETURN(std::vector<FetchedImage> images, images_of(ids));
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

}  // namespace fairlead::worker
