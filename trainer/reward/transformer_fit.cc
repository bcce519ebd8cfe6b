#include "trainer/reward/transformer_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "trainer/optim/schedule.h"
#include "trainer/reward/linear.h"
#include "trainer/reward/losses.h"

namespace fairlead::trainer {
namespace {

constexpr size_t kFewItems = 50;
constexpr size_t kItemsAStep = 32;
constexpr size_t kMostTokensAStep = 12288;
constexpr double kPeakRate = 1e-3;
constexpr double kWarmRate = kPeakRate / 3;  // From a champion.
// Pieces of a row that a step does not see: without, words are learnt by heart in one epoch.
constexpr double kHidden = 0.1;
constexpr int kPatience = 2;  // Epochs in a row that may be no better.
constexpr double kLengthWeight = 1.0;
constexpr uint32_t kOrderPurpose = 0x04DE;
constexpr uint32_t kHidePurpose = 0x41DE;
constexpr int kBytesAPiece = 64;  // Of the text, at least, so that pieces are no rarities.

// The responses of the items in pieces.
struct Corpus {
  std::vector<const PreferenceItem*> items;
  std::vector<std::vector<TokenRow>> rows;  // By item.
  std::vector<size_t> tokens;               // By item.
};

Corpus Encode(const std::vector<const PreferenceItem*>& items, const Tokenizer& tokenizer,
              const TokenLimits& limits) {
  Corpus corpus;
  corpus.items = items;
  for (const PreferenceItem* item : items) {
    std::vector<TokenRow>& rows = corpus.rows.emplace_back();
    size_t tokens = 0;
    for (const std::string& response : item->responses) {
      rows.push_back(EncodeRow(tokenizer, limits, item->prompt, response));
      tokens += rows.back().ids.size();
    }
    corpus.tokens.push_back(tokens);
  }
  return corpus;
}

absl::StatusOr<std::string> LearnPieces(const std::vector<const PreferenceItem*>& items) {
  std::vector<absl::string_view> texts;
  size_t bytes = 0;
  for (const PreferenceItem* item : items) {
    texts.push_back(item->prompt);
    texts.insert(texts.end(), item->responses.begin(), item->responses.end());
  }
  for (const absl::string_view text : texts) bytes += text.size();
  const int vocabulary = static_cast<int>(std::min<size_t>(kMaxVocabulary, bytes / kBytesAPiece));
  return TrainPieces(texts, std::max(vocabulary, 300));
}

// Item numbers in batches: at most kItemsAStep items and kMostTokensAStep tokens, at least one
// item. All responses of an item are in one, as their losses want them.
std::vector<std::vector<size_t>> Batches(const Corpus& corpus, uint64_t seed, int epoch) {
  std::vector<size_t> order(corpus.items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  PhiloxStream stream(seed, static_cast<uint32_t>(epoch), 0, kOrderPurpose);
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[stream.Below(static_cast<uint32_t>(i))]);
  }
  std::vector<std::vector<size_t>> batches;
  size_t tokens = SIZE_MAX;
  for (const size_t item : order) {
    const bool full = batches.empty() || batches.back().size() >= kItemsAStep ||
                      tokens + corpus.tokens[item] > kMostTokensAStep;
    if (full) {
      batches.emplace_back();
      tokens = 0;
    }
    batches.back().push_back(item);
    tokens += corpus.tokens[item];
  }
  return batches;
}

class Trainer {
 public:
  Trainer(const Corpus& corpus, const RewardTrainOptions& options, int32_t unknown)
      : corpus_(corpus), options_(options), unknown_(unknown) {}

  absl::Status Epoch(TransformerLearner& learner, int epoch, int64_t total_steps, double peak) {
    for (const std::vector<size_t>& batch : Batches(corpus_, options_.seed, epoch)) {
      const std::vector<TokenRow> rows = Rows(batch, epoch);
      for (const TokenRow& row : rows) tokens_ += static_cast<int64_t>(row.ids.size());
      const OneCycle cycle = {.peak = peak, .total_steps = total_steps, .warmup = 0.1};
      RETURN_IF_ERROR(learner.Step(rows, step_, LearningRateAt(cycle, step_),
                                   EmaDecayAt(step_, total_steps),
                                   [&](HeadScores& scores) { Judge(batch, rows, scores); }));
      ++step_;
    }
    return absl::OkStatus();
  }
  int64_t steps() const { return step_; }
  int64_t tokens() const { return tokens_; }

 private:
  std::vector<TokenRow> Rows(const std::vector<size_t>& batch, int epoch) const {
    std::vector<TokenRow> rows;
    for (const size_t item : batch) {
      PhiloxStream stream(options_.seed, static_cast<uint32_t>(epoch), static_cast<uint32_t>(item),
                          kHidePurpose);
      for (const TokenRow& whole : corpus_.rows[item]) {
        TokenRow& row = rows.emplace_back(whole);
        for (size_t t = 0; t < row.ids.size(); ++t) {
          const bool hidden = stream.Uniform(0, 1) < kHidden && t != row.response_begin;
          if (hidden) row.ids[t] = unknown_;
        }
      }
    }
    return rows;
  }

  void Judge(const std::vector<size_t>& batch, const std::vector<TokenRow>& rows,
             HeadScores& scores) const {
    std::vector<double> sums = scores.quality;
    if (options_.drop_length) {
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += scores.length[i];
    }
    size_t row = 0;
    const double share = 1 / static_cast<double>(batch.size());
    for (const size_t item : batch) {
      const size_t count = corpus_.rows[item].size();
      const PreferenceItem& judged = *corpus_.items[item];
      ItemLoss(judged, options_.smoothing, absl::MakeSpan(sums).subspan(row, count),
               judged.weight * share, absl::MakeSpan(scores.quality_slopes).subspan(row, count));
      row += count;
    }
    if (!options_.drop_length) return;
    scores.length_slopes = scores.quality_slopes;
    std::vector<double> lengths;
    for (const TokenRow& one : rows) {
      lengths.push_back(std::log(static_cast<double>(one.ids.size() - one.response_begin)));
    }
    LengthLoss(scores.quality, scores.length, lengths, kLengthWeight,
               absl::MakeSpan(scores.quality_slopes), absl::MakeSpan(scores.length_slopes));
  }

  const Corpus& corpus_;
  const RewardTrainOptions& options_;
  const int32_t unknown_;
  int64_t step_ = 0, tokens_ = 0;
};

std::vector<ScoredPair> PairsBy(const TransformerScorer& scorer, const Corpus& corpus) {
  std::vector<ScoredPair> pairs;
  for (size_t i = 0; i < corpus.items.size(); ++i) {
    for (const ScoredPair& pair : PairsOf(*corpus.items[i], scorer.Scores(corpus.rows[i]))) {
      pairs.push_back(pair);
    }
  }
  return pairs;
}

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(std::max<size_t>(1, values.size()));
}

// The model, untrained: shape, pieces, limits.
absl::StatusOr<TransformerReward> Begin(const std::vector<const PreferenceItem*>& kept,
                                        const RewardTrainOptions& options,
                                        const TransformerReward* champion) {
  TransformerReward model;
  if (champion != nullptr) model = *champion;
  model.axis = options.axis;
  model.temperature = 1;
  if (champion != nullptr) return model;
  ASSIGN_OR_RETURN(model.pieces, LearnPieces(kept));
  return model;
}

}  // namespace

bool IsHeldOut(const PreferenceItem& item) {
  const std::string& group = item.prompt.empty() ? item.responses[0] : item.prompt;
  return StableHash64(absl::StrCat("tenth/", group)) % 10 == 0;
}

std::vector<double> LossesAtBest(const std::vector<ScoredPair>& pairs, double& factor) {
  factor = FitSlope(pairs).factor;
  std::vector<double> losses;
  for (const ScoredPair& pair : pairs) {
    losses.push_back(LogisticLoss(pair.margin * factor, pair.target));
  }
  return losses;
}

absl::StatusOr<TransformerFit> FitTransformer(const std::vector<const PreferenceItem*>& items,
                                              const RewardTrainOptions& options,
                                              const TransformerReward* champion) {
  std::vector<const PreferenceItem*> kept, held;
  for (const PreferenceItem* item : items) {
    (items.size() >= kFewItems && IsHeldOut(*item) ? held : kept).push_back(item);
  }
  if (kept.empty()) kept.swap(held);
  TransformerFit fit;
  ASSIGN_OR_RETURN(fit.model, Begin(kept, options, champion));
  ASSIGN_OR_RETURN(const Tokenizer tokenizer, Tokenizer::Parse(fit.model.pieces));
  fit.model.shape.vocabulary = tokenizer.pieces() + 1;
  const Corpus corpus = Encode(kept, tokenizer, fit.model.limits);
  const Corpus judged = Encode(held, tokenizer, fit.model.limits);
  ASSIGN_OR_RETURN(const auto learner, TransformerLearner::Create(fit.model.shape, options.seed,
                                                                  options.device, options.threads));
  if (champion != nullptr) RETURN_IF_ERROR(learner->SetWeights(champion->weights));
  const int epochs = held.empty() ? 1 : options.epochs;
  const auto steps = static_cast<int64_t>(Batches(corpus, options.seed, 0).size());
  Trainer trainer(corpus, options, tokenizer.unknown());
  double least = INFINITY;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    RETURN_IF_ERROR(trainer.Epoch(*learner, epoch, steps * epochs,
                                  champion == nullptr ? kPeakRate : kWarmRate));
    std::vector<NamedValues> weights = learner->Averaged();
    ASSIGN_OR_RETURN(const auto scorer, TransformerScorer::Create(fit.model.shape, weights));
    std::vector<ScoredPair> pairs = PairsBy(*scorer, judged);
    double factor = 1;
    std::vector<double> losses = LossesAtBest(pairs, factor);
    if (!held.empty() && !(Mean(losses) < least)) {
      if (epoch + 1 >= fit.epochs + kPatience) break;
      continue;
    }
    least = Mean(losses);
    fit.losses = std::move(losses);
    fit.epochs = epoch + 1;
    fit.model.weights = std::move(weights);
    fit.model.temperature = std::clamp(1 / factor, 0.02, 50.0);
    for (ScoredPair& pair : pairs) pair.margin /= fit.model.temperature;
    fit.held_out = Measure(pairs, items[0]->safe.has_value());
  }
  if (fit.model.weights.empty()) {
    return Error(absl::StatusCode::kInternal, "TRAINING_DIVERGED",
                 "the transformer's scores are not finite; check the items' weights");
  }
  fit.steps = trainer.steps();
  fit.tokens = trainer.tokens();
  return fit;
}

}  // namespace fairlead::trainer
