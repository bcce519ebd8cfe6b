// fairlead-trainer check ocr: labels that are likely wrong.
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/progress_line.h"
#include "trainer/data/ocr_folder.h"
#include "trainer/label_check.h"

namespace fairlead::trainer {

absl::Status RunCheckOcr(const OcrCheckCommand& command) {
  ASSIGN_OR_RETURN(const OcrFolder data, ReadOcrFolder(command.folder, command.training.seed));
  PrintSetAside(data.set_aside);
  LabelCheckOptions options;
  options.training = command.training;
  options.training.command = StopOnSignal();
  options.folds = command.folds;
  options.least_confidence = command.least_confidence;
  options.least_odds = command.least_odds;
  std::string scratch = (std::filesystem::temp_directory_path() / "fairlead-check-XXXXXX").string();
  if (mkdtemp(scratch.data()) == nullptr) {
    return absl::UnavailableError(absl::StrCat("cannot make ", scratch));
  }
  options.scratch = scratch;
  std::vector<ProgressLine> lines;
  options.on_progress = [&](int fold, const TrainProgress& progress) {
    while (lines.size() <= static_cast<size_t>(fold)) {
      lines.emplace_back(absl::StrFormat("fold %d/%d  ", lines.size() + 1, command.folds));
    }
    lines[static_cast<size_t>(fold)].Show(progress);
  };
  const auto doubts = CheckLabels(data.examples, options);
  std::error_code error;
  std::filesystem::remove_all(scratch, error);
  RETURN_IF_ERROR(doubts.status());
  std::string table = "file\tlabel\tread\tconfidence\todds\n";
  for (const LabelDoubt& doubt : *doubts) {
    const OcrExample& example = data.examples[doubt.example];
    absl::StrAppendFormat(&table, "%s\t%s\t%s\t%.6f\t%.3f\n", example.id, example.text, doubt.read,
                          doubt.confidence, doubt.odds);
  }
  RETURN_IF_ERROR(WriteFileAtomically(command.output, table));
  if (command.json) {
    const nlohmann::json json = {{"checked", data.examples.size()},
                                 {"doubts", doubts->size()},
                                 {"set_aside", data.set_aside.size()}};
    std::fprintf(stdout, "%s\n", json.dump().c_str());
    return absl::OkStatus();
  }
  std::fprintf(stdout, "%s: %zu of %zu labels are in doubt\n", command.output.c_str(),
               doubts->size(), data.examples.size());
  return absl::OkStatus();
}

}  // namespace fairlead::trainer
