#include "trainer/loop/plan.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "trainer/data/labels.h"

namespace fairlead::trainer {
namespace {

// Images shown in all; the tiny net, one thread, drawn images of 32×128. Five digits each, 738
// images: a flat head reads 96 % of a test set after 6,600 shown (18 CPU-s), CTC nothing after
// 11,800. Four to six digits, 600 images: CTC reads 97 % after 12,000 shown (33 CPU-s), a flat head
// nothing.
constexpr double kFlatShown = 6600;
constexpr double kFlatShownWarm = 5000;
constexpr double kCtcShown = 12000;
constexpr double kCtcShownWarm = 9000;

// From here on there are enough examples for a larger net, long training and trials of the heads.
constexpr int64_t kManyExamples = 1500;
constexpr double kEpochsOfMany = 24;
constexpr double kCtcEpochsOfMany = 16;  // Its map is wider: an epoch costs about twice as much.
constexpr double kWarmEpochsOfMany = 2;
constexpr double kTrialShown = 6000;
constexpr int kShortText = 10;
// Images lower than this are read at height 32. A processor sees four times as many images of that
// size in a second, which teaches more than the finer strokes do.
constexpr int kLowOnCpu = 96;
constexpr int kLowOnGpu = 48;
constexpr double kFixedLengthShare = 0.95;

absl::Status CheckRange(absl::string_view field, double value, double high) {
  if (value >= 0 && value <= high) return absl::OkStatus();
  return FieldError(field, absl::StrCat("must be 0 (automatic) to ", high));
}

double EpochsFor(const TrainPlan& plan, const PlanFacts& facts) {
  const double count = static_cast<double>(facts.train_examples);
  if (facts.train_examples >= kManyExamples) {
    const double epochs = plan.head == "ctc" ? kCtcEpochsOfMany : kEpochsOfMany;
    // Beyond 8,000 examples epochs pay less and less.
    return facts.warm ? kWarmEpochsOfMany
                      : std::max(4.0, epochs * std::min(1.0, std::sqrt(8000 / count)));
  }
  const double shown = plan.head == "ctc" ? (facts.warm ? kCtcShownWarm : kCtcShown)
                                          : (facts.warm ? kFlatShownWarm : kFlatShown);
  return std::clamp(shown / count, 3.0, 200.0);
}

}  // namespace

absl::StatusOr<PlanFacts> FactsOf(absl::Span<const OcrExample> examples) {
  PlanFacts facts;
  std::map<int, int64_t> of_length;
  std::vector<int> heights;
  std::vector<double> aspects;
  for (size_t i = 0; i < examples.size(); ++i) {
    const OcrExample& example = examples[i];
    if (example.split != Split::kTrain) continue;
    const auto points = SplitCodePoints(example.text);
    if (!points.ok()) {
      return Annotate(points.status(), absl::StrCat("examples[", i, "] (", example.id, ")"));
    }
    const int length = static_cast<int>(points->size());
    facts.commonest_length_share =
        std::max(facts.commonest_length_share, static_cast<double>(++of_length[length]));
    facts.longest_text = std::max(facts.longest_text, length);
    heights.push_back(example.image.height);
    aspects.push_back(static_cast<double>(example.image.width) / std::max(1, example.image.height));
  }
  facts.train_examples = static_cast<int64_t>(heights.size());
  if (heights.empty()) return FieldError("examples", "no training example");
  if (facts.longest_text == 0) return FieldError("examples", "every training text is empty");
  facts.commonest_length_share /= static_cast<double>(heights.size());
  std::sort(heights.begin(), heights.end());
  std::sort(aspects.begin(), aspects.end());
  facts.image_height = heights[heights.size() / 2];
  facts.image_width = static_cast<int>(aspects[aspects.size() * 9 / 10] * facts.image_height);
  return facts;
}

std::vector<std::string> HeadCandidates(const PlanFacts& facts) {
  if (facts.commonest_length_share >= kFixedLengthShare) return {"flat", "column"};
  if (facts.longest_text <= kShortText) return {"ctc", "flat"};
  return {"ctc"};
}

int TrialEpochs(const PlanFacts& facts) {
  if (facts.train_examples < kManyExamples) return 0;
  return static_cast<int>(std::ceil(kTrialShown / static_cast<double>(facts.train_examples)));
}

const HeadTrial& BestTrial(const std::vector<HeadTrial>& trials) {
  return *std::max_element(trials.begin(), trials.end(), [](const auto& a, const auto& b) {
    if (a.exact_match != b.exact_match) return a.exact_match < b.exact_match;
    return a.negative_log_likelihood > b.negative_log_likelihood;
  });
}

absl::StatusOr<TrainPlan> MakePlan(const OcrTrainOptions& options, const PlanFacts& facts) {
  RETURN_IF_ERROR(CheckRange("epochs", options.epochs, 100000));
  RETURN_IF_ERROR(CheckRange("batch", options.batch, 65536));
  RETURN_IF_ERROR(CheckRange("micro_batch", options.micro_batch, 65536));
  RETURN_IF_ERROR(CheckRange("peak_learning_rate", options.peak_learning_rate, 1));
  if (options.threads < 1 || options.threads > 1024) {
    return FieldError("threads", "must be 1 to 1024");
  }
  if (options.precision != "auto" && options.precision != "float32" &&
      options.precision != "bf16") {
    return FieldError("precision", absl::StrCat("'", options.precision,
                                                "' is unknown; use float32, bf16 or auto"));
  }
  if (options.precision == "bf16" && !facts.cuda) {
    return FieldError("precision", "bf16 needs a CUDA device; use float32 or auto");
  }
  const int64_t count = facts.train_examples;
  const bool many = count >= kManyExamples;
  TrainPlan plan;
  plan.variant = options.variant;
  if (plan.variant == "auto") plan.variant = facts.cuda ? "full" : many ? "eighth" : "tiny";
  plan.head = options.head == "auto" ? HeadCandidates(facts)[0] : options.head;
  plan.image_height = options.image_height;
  if (plan.image_height == 0) {
    plan.image_height = facts.image_height < (facts.cuda ? kLowOnGpu : kLowOnCpu) ? 32 : 64;
  }
  plan.image_width = options.image_width;
  if (plan.image_width == 0) {
    const double width = static_cast<double>(facts.image_width) * plan.image_height /
                         std::max(1, facts.image_height);
    plan.image_width = static_cast<int>(std::clamp(std::ceil(width / 32) * 32, 64.0, 512.0));
  }
  plan.batch = options.batch > 0 ? options.batch : plan.variant == "tiny" ? 16 : 32;
  plan.batch = static_cast<int>(std::min<int64_t>(plan.batch, count));
  plan.steps_per_epoch = std::max<int64_t>(1, count / std::max(1, plan.batch));
  plan.epochs = options.epochs;
  if (plan.epochs == 0) plan.epochs = static_cast<int>(std::round(EpochsFor(plan, facts)));
  plan.peak_learning_rate = options.peak_learning_rate;
  if (plan.peak_learning_rate == 0) plan.peak_learning_rate = facts.warm ? 2e-3 : 4e-3;
  plan.bf16 = facts.cuda && options.precision != "float32";
  if (many && !facts.warm) {
    plan.dropout = 0.2;
    plan.smoothing = 0.05;
  }
  return plan;
}

}  // namespace fairlead::trainer
