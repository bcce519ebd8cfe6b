#include "trainer/loop/plan.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

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

constexpr double kFixedLengthShare = 0.95;

absl::Status CheckRange(absl::string_view field, double value, double high) {
  if (value >= 0 && value <= high) return absl::OkStatus();
  return FieldError(field, absl::StrCat("must be 0 (automatic) to ", high));
}

}  // namespace

std::string HeadFor(const PlanFacts& facts) {
  return facts.commonest_length_share >= kFixedLengthShare ? "flat" : "ctc";
}

absl::StatusOr<TrainPlan> MakePlan(const OcrTrainOptions& options, const PlanFacts& facts) {
  RETURN_IF_ERROR(CheckRange("epochs", options.epochs, 100000));
  RETURN_IF_ERROR(CheckRange("batch", options.batch, 65536));
  RETURN_IF_ERROR(CheckRange("peak_learning_rate", options.peak_learning_rate, 1));
  if (options.threads < 1 || options.threads > 1024) {
    return FieldError("threads", "must be 1 to 1024");
  }
  TrainPlan plan;
  plan.variant = options.variant;
  if (plan.variant == "auto") plan.variant = facts.cuda ? "full" : "tiny";
  plan.head = options.head;
  if (plan.head == "auto") plan.head = HeadFor(facts);
  const int64_t count = facts.train_examples;
  plan.batch = options.batch > 0 ? options.batch : plan.variant == "tiny" ? 16 : 32;
  plan.batch = static_cast<int>(std::min<int64_t>(plan.batch, count));
  plan.steps_per_epoch = std::max<int64_t>(1, count / std::max(1, plan.batch));
  plan.epochs = options.epochs;
  if (plan.epochs == 0) {
    const double shown = plan.head == "ctc" ? (facts.warm ? kCtcShownWarm : kCtcShown)
                                            : (facts.warm ? kFlatShownWarm : kFlatShown);
    plan.epochs =
        static_cast<int>(std::clamp(std::round(shown / static_cast<double>(count)), 3.0, 200.0));
  }
  plan.peak_learning_rate = options.peak_learning_rate;
  if (plan.peak_learning_rate == 0) plan.peak_learning_rate = facts.warm ? 2e-3 : 4e-3;
  return plan;
}

}  // namespace fairlead::trainer
