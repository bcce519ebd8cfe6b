#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "tests/bench/loop_bench.h"
#include "trainer/data/ocr_folder.h"
#include "trainer/train.h"

namespace fairlead::bench {
namespace {

using trainer::OcrExample;
using trainer::Split;

constexpr size_t kRound = 20;  // Labels a round: the reader is right on nine of ten after some 100.
constexpr size_t kMostLabels = 400;
constexpr uint64_t kDraws = 3;    // Of the pool's order: one curve goes up and down by two points.
constexpr double kWanted = 0.90;  // Exact match.
constexpr double kMostShare = 0.85;
constexpr uint32_t kShufflePurpose = 0x0DE4;

struct Images {
  std::vector<OcrExample> pool, validation;
};

Images Divide(std::vector<OcrExample> all, uint64_t seed) {
  Images images;
  for (OcrExample& one : all) {
    (one.split == Split::kValidation ? images.validation : images.pool).push_back(std::move(one));
  }
  PhiloxStream stream(seed, 0, 0, kShufflePurpose);
  for (size_t i = images.pool.size(); i > 1; --i) {
    std::swap(images.pool[i - 1], images.pool[stream.Below(static_cast<uint32_t>(i))]);
  }
  for (OcrExample& one : images.pool) one.split = Split::kTrain;
  return images;
}

// Moves the images of which the model is least certain to the front of what has no label yet.
absl::Status LeastCertainFirst(const std::string& path, size_t labelled,
                               std::vector<OcrExample>& pool) {
  ASSIGN_OR_RETURN(const auto model, trainer::OcrModel::Load(path, "cpu"));
  std::vector<GrayImage> images;
  for (size_t i = labelled; i < pool.size(); ++i) images.push_back(pool[i].image);
  ASSIGN_OR_RETURN(const auto read, model->Predict(images));
  std::vector<std::pair<double, size_t>> order;
  for (size_t i = 0; i < read.size(); ++i) order.emplace_back(read[i].confidence, labelled + i);
  std::sort(order.begin(), order.end());
  std::vector<OcrExample> sorted;
  for (const auto& [confidence, i] : order) sorted.push_back(std::move(pool[i]));
  std::move(sorted.begin(), sorted.end(), pool.begin() + static_cast<std::ptrdiff_t>(labelled));
  return absl::OkStatus();
}

// Labels at which the exact match reaches kWanted, between the rounds on either side of it;
// kMostLabels when it never does.
absl::StatusOr<double> LabelsWanted(const LoopOptions& options, Images images, uint64_t draw,
                                    bool least_certain, Marks& marks) {
  trainer::OcrTrainOptions training;
  training.device = "cpu";
  const std::string name =
      absl::StrCat(least_certain ? "least certain first" : "random order", ", draw ", draw + 1);
  const std::string path = absl::StrCat(options.work_folder, "/order.safetensors");
  double before = 0;
  for (size_t labels = kRound; labels <= kMostLabels; labels += kRound) {
    std::vector<OcrExample> examples(images.pool.begin(),
                                     images.pool.begin() + static_cast<std::ptrdiff_t>(labels));
    examples.insert(examples.end(), images.validation.begin(), images.validation.end());
    ASSIGN_OR_RETURN(const auto trained, trainer::TrainOcr(examples, training, path));
    const double exact = trained.validation.exact_match;
    marks.Figure("order", absl::StrCat(labels, " labels, ", name), 100 * exact, "%");
    if (exact >= kWanted) {
      const double part = before == 0 ? 1 : (kWanted - before) / (exact - before);
      return static_cast<double>(labels) - (1 - part) * static_cast<double>(kRound);
    }
    before = exact;
    if (least_certain) RETURN_IF_ERROR(LeastCertainFirst(path, labels, images.pool));
  }
  return static_cast<double>(kMostLabels);
}

}  // namespace

absl::Status BenchOrder(const LoopOptions& options, Marks& marks) {
  ASSIGN_OR_RETURN(const trainer::OcrFolder data,
                   trainer::ReadOcrFolder(options.images, options.seed));
  const double start = CpuSeconds();
  double random = 0, chosen = 0;
  for (uint64_t draw = 0; draw < kDraws; ++draw) {
    const Images images = Divide(data.examples, options.seed + draw);
    if (images.pool.size() < kMostLabels) {
      return absl::FailedPreconditionError(absl::StrCat(options.images, ": ", images.pool.size(),
                                                        " images, ", kMostLabels,
                                                        " are needed for the case order"));
    }
    ASSIGN_OR_RETURN(const double any, LabelsWanted(options, images, draw, false, marks));
    ASSIGN_OR_RETURN(const double least, LabelsWanted(options, images, draw, true, marks));
    random += any / kDraws;
    chosen += least / kDraws;
  }
  marks.Figure("order", "labels to 90 %, random order", random, "");
  marks.Figure("order", "labels to 90 %, least certain", chosen, "");
  marks.Check("order", "least certain / random", chosen / random, "", "≤ 0.85",
              chosen / random <= kMostShare);
  marks.Figure("order", "all rounds", CpuSeconds() - start, "CPU s");
  return absl::OkStatus();
}

}  // namespace fairlead::bench
