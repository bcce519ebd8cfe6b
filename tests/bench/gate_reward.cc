#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "common/base/hash.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "tests/bench/gate_cases.h"
#include "tests/bench/preference_sets.h"
#include "trainer/reward/evaluate.h"
#include "trainer/reward/linear.h"
#include "trainer/reward/losses.h"

namespace fairlead::bench {
namespace {

using trainer::DesignMatrix;
using trainer::PreferenceItem;
using Rows = std::vector<size_t>;

constexpr uint32_t kPurpose = 0x6A7F;
constexpr size_t kPart = 1500;
constexpr size_t kTrained = 2500;
constexpr size_t kFewer = 320;  // What the champion saw when the challenger is truly better.
constexpr size_t kCalibration = 600;
constexpr int kDraws = 3;  // Bootstrap fits a model averages over.
constexpr double kStrength = 4;

class RewardCase : public GateCase {
 public:
  explicit RewardCase(std::vector<PreferenceItem> items)
      : items_(std::move(items)), matrix_(Pointers(), Features()) {}

  std::string name() const override { return "reward"; }

  learn::PairedEvidence Draw(Challenger challenger, uint32_t trial) override {
    Rows order(items_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    PhiloxStream stream(19, static_cast<uint32_t>(challenger), trial, kPurpose);
    for (size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[stream.Below(static_cast<uint32_t>(i))]);
    }
    const auto begin = order.begin();
    const auto held = begin + static_cast<std::ptrdiff_t>(2 * kPart);
    const Rows judged(begin, held);
    const Rows training(held, held + static_cast<std::ptrdiff_t>(kTrained));
    const Rows calibration(held + static_cast<std::ptrdiff_t>(kTrained), order.end());
    const bool better = challenger == Challenger::kBetter || challenger == Challenger::kClassLost;
    const Rows fewer(training.begin(), training.begin() + kFewer);
    const auto champion = Margins(better ? fewer : training, calibration, judged, 0, stream);
    const double flipped = challenger == Challenger::kFlipped20  ? 0.20
                           : challenger == Challenger::kFlipped5 ? 0.05
                                                                 : 0;
    auto margins = Margins(training, calibration, judged, flipped, stream);
    Spoil(challenger, judged, margins, stream);
    learn::PairedEvidence evidence;
    for (size_t i = 0; i < judged.size(); ++i) {
      (i < kPart ? evidence.frozen : evidence.prequential)
          .push_back(One(judged[i], champion[i], margins[i]));
    }
    return evidence;
  }

 private:
  std::vector<const PreferenceItem*> Pointers() const {
    std::vector<const PreferenceItem*> pointers;
    for (const PreferenceItem& item : items_) pointers.push_back(&item);
    return pointers;
  }

  trainer::TextFeatures Features() const {
    trainer::FeatureOptions options;
    return trainer::TextFeatures::Count(options, Pointers());
  }

  double MarginOf(size_t row, const std::vector<double>& weights) const {
    std::vector<double> scores;
    matrix_.Scores(row, weights, scores);
    return scores[0] - scores[1];
  }

  // Calibrated margins of the judged rows by the mean of a few bootstrap fits.
  std::vector<double> Margins(const Rows& training, const Rows& calibration, const Rows& judged,
                              double flipped, PhiloxStream& stream) {
    Rows turned;
    for (const size_t row : training) {
      if (stream.Uniform(0, 1) < flipped) turned.push_back(row);
    }
    for (const size_t row : turned) items_[row].comparisons[0].preference_a = 0;
    std::vector<double> weights(matrix_.buckets().size(), 0.0);
    trainer::LinearFitOptions options;
    options.strength = kStrength;
    options.max_steps = 25;
    for (int draw = 0; draw < kDraws; ++draw) {
      Rows rows(training.size());
      for (size_t& row : rows) row = training[stream.Below(static_cast<uint32_t>(rows.size()))];
      const std::vector<double> one = trainer::FitLinear(matrix_, rows, options, {});
      for (size_t c = 0; c < weights.size(); ++c) weights[c] += one[c] / kDraws;
    }
    for (const size_t row : turned) items_[row].comparisons[0].preference_a = 1;
    std::vector<trainer::ScoredPair> pairs;
    for (const size_t row : calibration) pairs.push_back({MarginOf(row, weights), 1, 0});
    const double factor = trainer::FitSlope(pairs).factor;
    std::vector<double> margins;
    for (const size_t row : judged) margins.push_back(factor * MarginOf(row, weights));
    return margins;
  }

  std::string LengthSlice(size_t row) const {
    const size_t bytes = items_[row].responses[0].size() + items_[row].responses[1].size();
    return bytes < 150 ? "short" : bytes < 500 ? "medium" : "long";
  }

  void Spoil(Challenger challenger, const Rows& judged, std::vector<double>& margins,
             PhiloxStream& stream) const {
    for (size_t i = 0; i < margins.size(); ++i) {
      if (challenger == Challenger::kClassLost && LengthSlice(judged[i]) == "short") {
        margins[i] = -std::abs(margins[i]);
      }
      if (challenger == Challenger::kSwapped) margins[i] = -margins[i];
      if (challenger == Challenger::kStale) margins[i] = 6 * margins[i] + 0.5 * stream.Normal();
      if (challenger == Challenger::kNotANumber && stream.Uniform(0, 1) < 0.01) {
        margins[i] = std::nan("");
      }
    }
  }

  // The first response is the chosen one: a margin above 0 is right.
  learn::PairedItem One(size_t row, double champion, double challenger) const {
    learn::PairedItem item;
    const std::string& group = items_[row].prompt;
    item.group = StableHash64(group.empty() ? items_[row].responses[0] : group);
    item.slices = {LengthSlice(row)};
    item.champion_right = trainer::RightOf(champion, 1);
    item.champion_loss = trainer::LogisticLoss(champion, 1);
    item.champion_confidence = trainer::Sigmoid(std::abs(champion));
    item.challenger_right = trainer::RightOf(challenger, 1);
    item.challenger_loss = trainer::LogisticLoss(challenger, 1);
    item.challenger_confidence = trainer::Sigmoid(std::abs(challenger));
    return item;
  }

  std::vector<PreferenceItem> items_;
  const DesignMatrix matrix_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GateCase>> RewardGateCase() {
  ASSIGN_OR_RETURN(std::vector<PreferenceItem> items, HarmlessTrain());
  ASSIGN_OR_RETURN(const std::vector<PreferenceItem> dev, HarmlessDev());
  items.insert(items.end(), dev.begin(), dev.end());
  if (items.size() < 2 * kPart + kTrained + kCalibration) {
    return absl::InvalidArgumentError("too few pairs");
  }
  return std::unique_ptr<GateCase>(std::make_unique<RewardCase>(std::move(items)));
}

}  // namespace fairlead::bench
