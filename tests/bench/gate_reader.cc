#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/hash.h"
#include "common/base/philox.h"
#include "tests/bench/gate_cases.h"

namespace fairlead::bench {
namespace {

constexpr uint32_t kPurpose = 0x6A7E;
constexpr size_t kPart = 1500;
constexpr double kOwn = 0.6;        // Standard deviation of a model's own part.
constexpr double kChampion = 0.90;  // Share of texts right.

double Normal(double z) { return std::erfc(-z / std::sqrt(2.0)) / 2; }

// The bar under which difficulty + own part must stay for the wanted share of texts.
double BarFor(double share) {
  double low = -8, high = 8;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (Normal(middle / std::sqrt(1 + kOwn * kOwn)) < share ? low : high) = middle;
  }
  return low;
}

struct Text {
  std::string text;
  uint64_t group;
};

class ReaderCase : public GateCase {
 public:
  explicit ReaderCase(std::vector<Text> texts) : texts_(std::move(texts)) {}

  std::string name() const override { return "reader"; }

  learn::PairedEvidence Draw(Challenger challenger, uint32_t trial) override {
    PhiloxStream stream(17, static_cast<uint32_t>(challenger), trial, kPurpose);
    learn::PairedEvidence evidence;
    for (size_t i = 0; i < 2 * kPart; ++i) {
      const Text& text = texts_[stream.Below(static_cast<uint32_t>(texts_.size()))];
      (i < kPart ? evidence.frozen : evidence.prequential).push_back(One(challenger, text, stream));
    }
    return evidence;
  }

 private:
  static double ShareOf(Challenger challenger) {
    switch (challenger) {
      case Challenger::kBetter:
      case Challenger::kClassLost:
        return kChampion + 0.03;
      case Challenger::kStale:
        return kChampion - 0.05;
      case Challenger::kFlipped20:
        return kChampion - 0.04;
      case Challenger::kFlipped5:
        return kChampion - 0.01;
      default:
        return kChampion;
    }
  }

  static double Loss(double confidence, bool right) {
    return -std::log(std::clamp(right ? confidence : 1 - confidence, 1e-6, 1.0));
  }

  static learn::PairedItem One(Challenger challenger, const Text& text, PhiloxStream& stream) {
    learn::PairedItem item;
    item.group = text.group;
    item.slices.push_back(absl::StrCat("length ", text.text.size()));
    for (const char c : std::set<char>(text.text.begin(), text.text.end())) {
      item.slices.push_back(absl::StrCat("character ", std::string(1, c)));
    }
    const double difficulty = stream.Normal();
    const double champion_bar = BarFor(kChampion), bar = BarFor(ShareOf(challenger));
    bool right = difficulty + kOwn * stream.Normal() < champion_bar;
    item.champion_right = right ? 1 : 0;
    item.champion_confidence = Normal((champion_bar - difficulty) / kOwn);
    item.champion_loss = Loss(item.champion_confidence, right);
    right = difficulty + kOwn * stream.Normal() < bar;
    if (challenger == Challenger::kClassLost)
      right = right && text.text.find('7') == std::string::npos;
    if (challenger == Challenger::kSwapped) {
      right = right && std::equal(text.text.begin(), text.text.end(), text.text.rbegin());
    }
    item.challenger_right = right ? 1 : 0;
    // A stale normalisation does not make a reader humble.
    const double believed = challenger == Challenger::kStale ? BarFor(0.97) : bar;
    item.challenger_confidence = Normal((believed - difficulty) / kOwn);
    item.challenger_loss = Loss(item.challenger_confidence, right);
    if (challenger == Challenger::kNotANumber && stream.Uniform(0, 1) < 0.01) {
      item.challenger_confidence = item.challenger_loss = std::nan("");
    }
    return item;
  }

  const std::vector<Text> texts_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GateCase>> ReaderGateCase() {
  const char* shared = std::getenv("FAIRLEAD_SHARED");
  const std::string path =
      absl::StrCat(shared != nullptr ? shared : FAIRLEAD_SOURCE_FOLDER "/../shared",
                   "/data/ocr/sroie_prices/labels.tsv");
  std::ifstream in(path);
  std::vector<Text> texts;
  for (std::string line; std::getline(in, line);) {
    const std::pair<std::string, std::string> row = absl::StrSplit(line, absl::MaxSplits('\t', 1));
    const std::pair<std::string, std::string> file =
        absl::StrSplit(row.first, absl::MaxSplits('_', 1));
    if (!row.second.empty()) texts.push_back({row.second, StableHash64(file.first)});
  }
  if (texts.empty()) return absl::NotFoundError(absl::StrCat(path, ": no texts"));
  return std::unique_ptr<GateCase>(std::make_unique<ReaderCase>(std::move(texts)));
}

}  // namespace fairlead::bench
