#include "trainer/loop/plan.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace fairlead::trainer {
namespace {

// Images shown in all. On 738 drawn images of 32×128 with five digits, one thread: the tiny net
// with a flat head reads 96 % of a test set after 6,600 shown (18 CPU-s) and 97 % after 10,300; the
// eighth net with a flat head 90 % after 4,400 (19 CPU-s), with a column head 57 % after 5,900; the
// tiny net with CTC still nothing after 11,800.
constexpr double kColdImagesShown = 6600;
constexpr double kWarmImagesShown = 5000;

absl::Status CheckRange(absl::string_view field, double value, double high) {
  if (value >= 0 && value <= high) return absl::OkStatus();
  return FieldError(field, absl::StrCat("must be 0 (automatic) to ", high));
}

}  // namespace

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
  if (plan.head == "auto") plan.head = "flat";
  const int64_t count = facts.train_examples;
  plan.batch = options.batch > 0 ? options.batch : plan.variant == "tiny" ? 16 : 32;
  plan.batch = static_cast<int>(std::min<int64_t>(plan.batch, count));
  plan.steps_per_epoch = std::max<int64_t>(1, count / std::max(1, plan.batch));
  plan.epochs = options.epochs;
  if (plan.epochs == 0) {
    const double shown = facts.warm ? kWarmImagesShown : kColdImagesShown;
    plan.epochs =
        static_cast<int>(std::clamp(std::round(shown / static_cast<double>(count)), 3.0, 200.0));
  }
  plan.peak_learning_rate = options.peak_learning_rate;
  if (plan.peak_learning_rate == 0) plan.peak_learning_rate = facts.warm ? 2e-3 : 4e-3;
  return plan;
}

}  // namespace fairlead::trainer
