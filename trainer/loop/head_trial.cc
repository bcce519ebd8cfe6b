// Trials of heads, and TrainOcr (train.h): choose, train, write.
#include <algorithm>
#include <string>
#include <vector>

#include "common/base/log.h"
#include "trainer/loop/evaluate.h"
#include "trainer/loop/ocr_trainer.h"

namespace fairlead::trainer {

absl::StatusOr<HeadTrial> OcrTrainer::TryHead(absl::Span<const OcrExample> examples,
                                              OcrTrainOptions options, const std::string& head,
                                              int epochs) {
  options.head = head;
  options.epochs = epochs;
  options.checkpoint_directory.clear();
  options.on_progress = nullptr;
  // Whoever asks to stop has nothing to lose but the trials, which are then done again.
  ASSIGN_OR_RETURN(std::unique_ptr<OcrTrainer> trainer, Create(examples, options));
  RETURN_IF_ERROR(trainer->Run());
  torch::NoGradGuard no_grad;
  trainer->parameters_->weights().copy_(trainer->optimiser_->averaged());
  const OcrDataset& set = trainer->set_;
  std::vector<std::string> truths;
  for (const int64_t row : set.validation) truths.push_back(set.texts[row]);
  const OcrMetrics metrics =
      MeasureReadings(ComputeLogits(*trainer->net_, trainer->config_, set.images, set.validation),
                      truths, trainer->config_.alphabet, 1.0);
  return HeadTrial{head, metrics.exact_match, metrics.negative_log_likelihood};
}

namespace {

// Fills options.head from brief trials of the candidates. Nothing to do when none are wanted, the
// head is given, the start is warm, there is one candidate, or nothing to measure them by.
absl::Status ChooseHead(absl::Span<const OcrExample> examples, OcrTrainOptions& options,
                        std::vector<HeadTrial>& trials) {
  if (!options.try_heads || options.head != "auto" || !options.warm_start.empty()) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const PlanFacts facts, FactsOf(examples));
  const std::vector<std::string> candidates = HeadCandidates(facts);
  const int epochs = TrialEpochs(facts);
  const bool measurable = std::any_of(examples.begin(), examples.end(), [](const OcrExample& one) {
    return one.split == Split::kValidation;
  });
  if (candidates.size() < 2 || epochs == 0 || !measurable) return absl::OkStatus();
  if (!options.checkpoint_directory.empty()) {  // A choice once made stands.
    for (const std::string& head : candidates) {
      OcrTrainOptions resuming = options;
      resuming.head = head;
      ASSIGN_OR_RETURN(const auto trainer, OcrTrainer::Create(examples, resuming));
      if (!trainer->resumed()) continue;
      options.head = head;
      return absl::OkStatus();
    }
  }
  for (const std::string& head : candidates) {
    ASSIGN_OR_RETURN(const HeadTrial trial, OcrTrainer::TryHead(examples, options, head, epochs));
    FAIRLEAD_LOG(INFO) << "head tried head=" << head << " exact_match=" << trial.exact_match
                       << " nll=" << trial.negative_log_likelihood;
    if (options.on_trial) options.on_trial(trial);
    trials.push_back(trial);
  }
  options.head = BestTrial(trials).head;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<OcrTrainResult> TrainOcr(absl::Span<const OcrExample> examples,
                                        const OcrTrainOptions& options,
                                        const std::string& output_path) {
  return CatchTorch([&]() -> absl::StatusOr<OcrTrainResult> {
    OcrTrainOptions chosen = options;
    std::vector<HeadTrial> trials;
    RETURN_IF_ERROR(ChooseHead(examples, chosen, trials));
    ASSIGN_OR_RETURN(std::unique_ptr<OcrTrainer> trainer, OcrTrainer::Create(examples, chosen));
    RETURN_IF_ERROR(trainer->Run());
    ASSIGN_OR_RETURN(OcrTrainResult result, trainer->Finish(output_path));
    result.trials = std::move(trials);
    return result;
  });
}

}  // namespace fairlead::trainer
