#include <cstdio>
#include <filesystem>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "tests/bench/loop_bench.h"
#include "trainer/data/ocr_folder.h"
#include "trainer/label_check.h"
#include "trainer/train.h"

namespace fairlead::bench {
namespace {

using trainer::OcrExample;

constexpr double kPlanted = 0.05;
constexpr uint32_t kPlantPurpose = 0xF11B;

// Makes a share of the labels wrong; returns their true texts by index.
std::map<size_t, std::string> Plant(uint64_t seed, std::vector<OcrExample>& examples) {
  PhiloxStream stream(seed, 0, 0, kPlantPurpose);
  const auto count = static_cast<uint32_t>(examples.size());
  const auto wanted = static_cast<size_t>(kPlanted * static_cast<double>(count));
  std::vector<std::string> texts;
  for (const OcrExample& example : examples) texts.push_back(example.text);
  std::map<size_t, std::string> truth;
  while (truth.size() < wanted) {
    const size_t i = stream.Below(count);
    if (truth.count(i) > 0 || texts[i].empty()) continue;
    std::string wrong = texts[i];
    if (truth.size() % 2 == 0) {
      wrong = texts[stream.Below(count)];
    } else {
      wrong[stream.Below(static_cast<uint32_t>(wrong.size()))] =
          static_cast<char>('0' + stream.Below(10));
    }
    if (wrong == texts[i]) continue;
    truth[i] = texts[i];
    examples[i].text = wrong;
  }
  return truth;
}

}  // namespace

absl::Status BenchLabelErrors(const LoopOptions& options, Marks& marks) {
  ASSIGN_OR_RETURN(trainer::OcrFolder data, trainer::ReadOcrFolder(options.images, options.seed));
  const std::map<size_t, std::string> truth = Plant(options.seed, data.examples);
  trainer::LabelCheckOptions check;
  check.training.variant = "eighth";
  check.training.epochs = 12;
  check.training.device = "cpu";
  check.scratch = options.work_folder;
  check.on_progress = [&](int fold, const trainer::TrainProgress& now) {
    std::fprintf(stderr, "errors: fold %d/%d epoch %d/%d, %.0f s left\n", fold + 1, check.folds,
                 now.epoch, now.epochs, now.seconds_left);
  };
  const double start = CpuSeconds();
  ASSIGN_OR_RETURN(const auto doubts, trainer::CheckLabels(data.examples, check));
  const double seconds = CpuSeconds() - start;
  double found = 0, corrected = 0;
  for (const trainer::LabelDoubt& doubt : doubts) {
    const auto planted = truth.find(doubt.example);
    if (planted == truth.end()) continue;
    found += 1;
    corrected += planted->second == doubt.read ? 1 : 0;
  }
  const double recall = 100 * found / static_cast<double>(truth.size());
  const double precision = doubts.empty() ? 0 : 100 * found / static_cast<double>(doubts.size());
  marks.Figure("errors", "labels", static_cast<double>(data.examples.size()), "");
  marks.Figure("errors", "planted wrong", static_cast<double>(truth.size()), "");
  marks.Check("errors", "recall", recall, "%", "≥ 80", recall >= 80);
  marks.Check("errors", "precision", precision, "%", "≥ 50", precision >= 50);
  marks.Figure("errors", "of the found, read right", found > 0 ? 100 * corrected / found : 0, "%");
  marks.Figure("errors", "both folds", seconds, "CPU s");
  return absl::OkStatus();
}

}  // namespace fairlead::bench
