#include "worker/judging.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "common/base/status.h"

namespace fairlead::worker {
namespace {

using Reading = store::v1::Evaluation::Reading;

absl::StatusOr<std::vector<trainer::OcrJudgement>> ReadAll(
    const std::string& path, absl::Span<const trainer::OcrExample> examples,
    const PredictOptions& options, JobContext& context) {
  ASSIGN_OR_RETURN(const std::unique_ptr<trainer::OcrModel> model,
                   trainer::OcrModel::Load(path, options.device, options.threads));
  std::vector<trainer::OcrJudgement> all;
  const auto batch = static_cast<size_t>(options.batch);
  for (size_t first = 0; first < examples.size(); first += batch) {
    RETURN_IF_ERROR(context.Check());
    ASSIGN_OR_RETURN(const std::vector<trainer::OcrJudgement> some,
                     model->Judge(examples.subspan(first, batch)));
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

void Fill(const trainer::OcrJudgement& judgement, Reading* reading) {
  reading->set_right(judgement.right ? 1 : 0);
  reading->set_loss(judgement.negative_log_likelihood);
  reading->set_confidence(judgement.confidence);
}

// `wanted`: the share of people who prefer A; `predicted`: what the model expects, in (0, 1).
void Fill(double wanted, double predicted, Reading* reading) {
  const bool undecided = wanted == 0.5 || predicted == 0.5;
  reading->set_right(undecided ? 0.5 : (wanted > 0.5) == (predicted > 0.5) ? 1 : 0);
  reading->set_loss(-wanted * std::log(predicted) - (1 - wanted) * std::log1p(-predicted));
  reading->set_confidence(std::max(predicted, 1 - predicted));
}

}  // namespace

absl::StatusOr<store::v1::Evaluation> JudgeOcr(const Contest& contest,
                                               absl::Span<const trainer::OcrExample> examples,
                                               const PredictOptions& options, JobContext& context) {
  ASSIGN_OR_RETURN(const auto version, ReadAll(contest.version, examples, options, context));
  ASSIGN_OR_RETURN(const auto champion, ReadAll(contest.champion, examples, options, context));
  store::v1::Evaluation evaluation;
  for (size_t i = 0; i < examples.size(); ++i) {
    store::v1::Evaluation::Item* item = evaluation.add_items();
    item->set_id(examples[i].id);
    Fill(version[i], item->mutable_version());
    Fill(champion[i], item->mutable_champion());
  }
  return evaluation;
}

absl::StatusOr<store::v1::Evaluation> JudgePairs(const Contest& contest,
                                                 absl::Span<const trainer::PreferenceItem> pairs,
                                                 JobContext& context) {
  ASSIGN_OR_RETURN(const auto version, trainer::RewardModel::Load(contest.version));
  ASSIGN_OR_RETURN(const auto champion, trainer::RewardModel::Load(contest.champion));
  store::v1::Evaluation evaluation;
  for (const trainer::PreferenceItem& pair : pairs) {
    RETURN_IF_ERROR(context.Check());
    store::v1::Evaluation::Item* item = evaluation.add_items();
    item->set_id(pair.id);
    const double wanted = pair.comparisons.at(0).preference_a;
    const std::string& a = pair.responses.at(0);
    const std::string& b = pair.responses.at(1);
    Fill(wanted, version->PreferA(pair.prompt, a, b), item->mutable_version());
    Fill(wanted, champion->PreferA(pair.prompt, a, b), item->mutable_champion());
  }
  return evaluation;
}

}  // namespace fairlead::worker
