#include "trainer/reward/fit.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/philox.h"
#include "trainer/reward/linear.h"
#include "trainer/reward/losses.h"

namespace fairlead::trainer {
namespace {

constexpr size_t kFolds = 5;
constexpr size_t kFewItems = 50;
constexpr size_t kEnoughForTemperature = 2500;  // Items; its error is then about 0.05.
constexpr int kMembers = 5;
constexpr size_t kTopWords = 100;
constexpr uint32_t kDrawPurpose = 0xBA66;
// Strengths are tried from strong to weak by halves, so that each fit starts near its end. A
// response alone has more features, whose weights share what there is to explain.
constexpr double kStrongest = 16;
constexpr double kStrongestAlone = 4;
constexpr double kWeakest = 0.125;
constexpr int kMostBits = 22;

size_t FoldOf(const PreferenceItem& item) {
  const std::string& group = item.prompt.empty() ? item.responses[0] : item.prompt;
  return StableHash64(absl::StrCat("fold/", group)) % kFolds;
}

std::vector<double> ColumnStrength(const DesignMatrix& matrix, const TextFeatures& features) {
  std::vector<double> factors(matrix.buckets().size(), 1.0);
  for (size_t c = 0; c < factors.size(); ++c) {
    // The bias is no evidence of anything: it is left free.
    if (matrix.buckets()[c] == features.Dense(kBias)) factors[c] = 1e-3;
  }
  return factors;
}

// Length is learned so that words need not stand for it, and is not served.
void DropLength(const DesignMatrix& matrix, const TextFeatures& features,
                std::vector<double>& weights) {
  for (size_t c = 0; c < weights.size(); ++c) {
    if (matrix.buckets()[c] == features.Dense(kLength)) weights[c] = 0;
  }
}

class Fitter {
 public:
  Fitter(const DesignMatrix& matrix, const TextFeatures& features, double smoothing)
      : matrix_(matrix), features_(features) {
    options_.smoothing = smoothing;
    options_.column_strength = ColumnStrength(matrix, features);
    for (size_t i = 0; i < matrix.items(); ++i) {
      all_.push_back(i);
      const size_t fold = FoldOf(matrix.item(i));
      for (size_t k = 0; k < kFolds; ++k) (k == fold ? held_[k] : kept_[k]).push_back(i);
    }
  }

  std::vector<double> Fit(const std::vector<size_t>& rows, double strength,
                          std::vector<double> start) {
    options_.strength = strength;
    return FitLinear(matrix_, rows, options_, std::move(start));
  }

  // The pairs of every item by a fit of the other folds; with more than `enough` items, of as many
  // folds as hold so many. A fold's fit starts where its last one ended, the first at `start`.
  std::vector<ScoredPair> CrossFold(double strength, const std::vector<double>& start,
                                    size_t enough) {
    std::vector<ScoredPair> pairs;
    size_t judged = 0;
    for (size_t fold = 0; fold < kFolds && judged < enough; ++fold) {
      judged += held_[fold].size();
      std::vector<double>& weights = of_fold_[fold];
      weights = Fit(kept_[fold], strength, weights.empty() ? start : std::move(weights));
      std::vector<double> served = weights, scores;
      DropLength(matrix_, features_, served);
      for (const size_t i : held_[fold]) {
        matrix_.Scores(i, served, scores);
        const auto scored = PairsOf(matrix_.item(i), scores);
        pairs.insert(pairs.end(), scored.begin(), scored.end());
      }
    }
    return pairs;
  }

  const std::vector<size_t>& all() const { return all_; }

 private:
  const DesignMatrix& matrix_;
  const TextFeatures& features_;
  LinearFitOptions options_;
  std::vector<size_t> all_;
  std::vector<size_t> held_[kFolds], kept_[kFolds];
  std::vector<double> of_fold_[kFolds];
};

void Divide(std::vector<ScoredPair>& pairs, double temperature) {
  for (ScoredPair& pair : pairs) pair.margin /= temperature;
}

struct HeldOut {
  double strength = 0;
  std::vector<ScoredPair> pairs;
};

// Negative log-likelihood at the scores' own best temperature.
double BestLoss(std::vector<ScoredPair> pairs) {
  Divide(pairs, 1 / FitSlope(pairs).factor);
  double loss = 0;
  for (const ScoredPair& pair : pairs) loss += LogisticLoss(pair.margin, pair.target);
  return loss;
}

// Halves the strength for as long as what is held out becomes likelier.
HeldOut ChooseStrength(Fitter& fitter, double strongest) {
  HeldOut best{strongest, fitter.CrossFold(strongest, {}, SIZE_MAX)};
  double least = BestLoss(best.pairs);
  for (double strength = strongest / 2; strength >= kWeakest; strength /= 2) {
    std::vector<ScoredPair> pairs = fitter.CrossFold(strength, {}, SIZE_MAX);
    const double loss = BestLoss(pairs);
    if (loss >= least) break;
    least = loss;
    best = {strength, std::move(pairs)};
  }
  return best;
}

// Item numbers drawn with replacement (bootstrap aggregation, Breiman 1996).
std::vector<size_t> Draw(size_t count, uint64_t seed, uint32_t member) {
  PhiloxStream stream(seed, member, 0, kDrawPurpose);
  std::vector<size_t> rows(count);
  for (size_t& row : rows) row = stream.Below(static_cast<uint32_t>(count));
  std::sort(rows.begin(), rows.end());
  return rows;
}

// The buckets of the largest weights, and a name of each: the first that the items have for it.
std::vector<WordWeight> TopWordsOf(const std::vector<const PreferenceItem*>& items,
                                   const TextFeatures& features, const std::vector<float>& weights,
                                   double temperature) {
  std::vector<uint32_t> order;
  for (uint32_t bucket = 0; bucket < weights.size(); ++bucket) {
    const bool named = bucket < features.Dense(0) || bucket >= features.Dense(kForm);
    if (named && weights[bucket] != 0) order.push_back(bucket);
  }
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    const float x = std::abs(weights[a]), y = std::abs(weights[b]);
    return x != y ? x > y : a < b;
  });
  if (order.size() > kTopWords) order.resize(kTopWords);
  std::map<uint32_t, std::string> names;
  for (const uint32_t bucket : order) names.emplace(bucket, "");
  size_t unnamed = names.size();
  for (const PreferenceItem* item : items) {
    for (const std::string& response : item->responses) {
      if (unnamed == 0) break;
      for (auto& [bucket, word] : features.Named(response)) {
        const auto at = names.find(bucket);
        if (at == names.end() || !at->second.empty()) continue;
        at->second = std::move(word);
        --unnamed;
      }
    }
  }
  std::vector<WordWeight> words;
  for (const uint32_t bucket : order) {
    if (!names[bucket].empty()) words.push_back({names[bucket], weights[bucket] / temperature});
  }
  return words;
}

std::vector<double> StartFrom(const LinearReward* champion, const DesignMatrix& matrix,
                              const TextFeatures& features) {
  // Other weights are as good a start as any, but buckets have to exist.
  if (champion == nullptr || champion->features.bits != features.options().bits) return {};
  std::vector<double> start;
  for (const uint32_t bucket : matrix.buckets()) start.push_back(champion->members[0][bucket]);
  return start;
}

}  // namespace

FeatureOptions FeaturesFor(const RewardTrainOptions& options, bool single_responses) {
  FeatureOptions features;
  features.bits = options.bits;
  if (options.drop_length) features.length = 0.3f;
  if (single_responses) {
    features.bits = std::min(options.bits + 2, kMostBits);
    features.run = 3;
    features.prompt = 1;
    features.form = 1;
  }
  return features;
}

LinearRewardFit FitReward(const std::vector<const PreferenceItem*>& items,
                          const RewardTrainOptions& options, const FeatureOptions& feature_options,
                          const LinearReward* champion) {
  const TextFeatures features = TextFeatures::Count(feature_options, items);
  const DesignMatrix matrix(items, features);
  Fitter fitter(matrix, features, options.smoothing);
  LinearRewardFit fit;
  LinearReward& model = fit.model;
  model.axis = options.axis;
  model.features = feature_options;
  model.strength = options.strength > 0  ? options.strength
                   : champion != nullptr ? champion->strength
                                         : 1;
  const std::vector<double> start = StartFrom(champion, matrix, features);
  if (items.size() >= kFewItems) {
    const bool alone = items[0]->safe.has_value();
    const bool given = options.strength > 0 || champion != nullptr;
    HeldOut held = given ? HeldOut{model.strength,
                                   fitter.CrossFold(model.strength, start, kEnoughForTemperature)}
                         : ChooseStrength(fitter, alone ? kStrongestAlone : kStrongest);
    model.strength = held.strength;
    std::vector<ScoredPair>& pairs = held.pairs;
    model.temperature = std::clamp(1 / FitSlope(pairs).factor, 0.02, 50.0);
    Divide(pairs, model.temperature);
    fit.cross_fold = Measure(pairs, alone);
  }
  const int members = options.model == "ensemble" ? kMembers : 1;
  for (int member = 0; member < members; ++member) {
    const std::vector<size_t> rows =
        members == 1 ? fitter.all()
                     : Draw(items.size(), options.seed, static_cast<uint32_t>(member));
    std::vector<double> weights = fitter.Fit(rows, model.strength, start);
    DropLength(matrix, features, weights);
    std::vector<float>& stored = model.members.emplace_back(features.buckets(), 0.0f);
    for (size_t c = 0; c < weights.size(); ++c) {
      stored[matrix.buckets()[c]] = static_cast<float>(weights[c]);
    }
  }
  model.idf = features.idf();
  model.top_words = TopWordsOf(items, features, model.members[0], model.temperature);
  return fit;
}

}  // namespace fairlead::trainer
