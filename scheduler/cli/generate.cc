// fairlead generate: images of text and preference pairs whose truth is known.
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/generate_ocr.h"
#include "scheduler/cli/generate_pairs.h"
#include "scheduler/cli/print.h"

namespace fairlead::cli {
namespace {

struct GenerateFlags {
  int64_t count = 4000;
  std::string out;
  OcrGeneratorOptions ocr;
  int64_t first = 0;
};

absl::Status GenerateOcr(const GenerateFlags& flags) {
  {
    StatusLine line;
    RETURN_IF_ERROR(WriteOcrFolder(flags.out, flags.ocr, flags.count, [&](int64_t done) {
      line.Show(absl::StrCat("drawn ", done, " of ", flags.count));
    }));
  }
  std::cout << "wrote " << flags.count << " images and labels.tsv to " << flags.out << "\n";
  return absl::OkStatus();
}

absl::Status GeneratePairs(const GenerateFlags& flags) {
  RETURN_IF_ERROR(WritePairsJsonl(flags.out, flags.ocr.seed, flags.first, flags.count));
  std::cout << "wrote " << flags.count << " pairs to " << flags.out << "\n";
  return absl::OkStatus();
}

}  // namespace

void AddGenerateCommands(CommandLine& line) {
  auto flags = std::make_shared<GenerateFlags>();
  CLI::App* generate = line.Add(nullptr, "generate", "Data whose truth is known: ocr, pairs",
                                "fairlead generate ocr --n 4000 --difficulty portal --out DIR");
  generate->require_subcommand(1);
  CLI::App* ocr = line.Add(generate, "ocr", "Images of text with labels.tsv",
                           "fairlead generate ocr --n 4000 --difficulty portal --out DIR",
                           [flags] { return Finish(GenerateOcr(*flags)); });
  ocr->add_option("--n", flags->count, "Images");
  ocr->add_option("--difficulty", flags->ocr.difficulty, "easy, portal or hard");
  ocr->add_option("--out", flags->out, "Folder to make")->required();
  ocr->add_option("--seed", flags->ocr.seed, "Everything follows from it");
  ocr->add_option("--min-length", flags->ocr.min_length, "Characters at least");
  ocr->add_option("--max-length", flags->ocr.max_length, "Characters at most");
  ocr->add_option("--alphabet", flags->ocr.alphabet, "Characters to draw from");
  ocr->add_option("--font", flags->ocr.font_path, "Font file (default: DejaVu Sans)");
  CLI::App* pairs = line.Add(generate, "pairs", "Preference pairs as JSON lines",
                             "fairlead generate pairs --n 500 --out pairs.jsonl",
                             [flags] { return Finish(GeneratePairs(*flags)); });
  pairs->add_option("--n", flags->count, "Pairs");
  pairs->add_option("--out", flags->out, "File to write")->required();
  pairs->add_option("--seed", flags->ocr.seed, "Everything follows from it");
  pairs->add_option("--first", flags->first, "Index of the first pair of the seed's series");
}

}  // namespace fairlead::cli
