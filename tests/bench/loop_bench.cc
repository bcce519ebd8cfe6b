// ./dev bench loop: what the models save, through the real cluster, beside the same dispatcher
// without them.
#include "tests/bench/loop_bench.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/bench/marks.h"

namespace fairlead::bench {
namespace {

absl::Status Run(const LoopOptions& options, const std::set<std::string>& only,
                 const std::string& json, bool& met) {
  if (!std::filesystem::exists(options.images + "/labels.tsv")) {
    return absl::NotFoundError(
        absl::StrCat("no labels.tsv in ", options.images, "; name a folder with --images"));
  }
  std::filesystem::create_directories(options.work_folder);
  Marks marks("loop");
  const auto wanted = [&](const char* name) { return only.empty() || only.count(name) > 0; };
  if (wanted("answers")) RETURN_IF_ERROR(BenchAnswers(options, marks));
  if (wanted("errors")) RETURN_IF_ERROR(BenchLabelErrors(options, marks));
  if (wanted("order")) RETURN_IF_ERROR(BenchOrder(options, marks));
  if (wanted("dispatch")) RETURN_IF_ERROR(BenchDispatchBesideTraining(options, marks));
  met = marks.Print();
  return json.empty() ? absl::OkStatus() : marks.WriteJson(json);
}

int Main(int argc, char** argv) {
  CLI::App app("What the models save: answers, labels, and wrong labels found");
  app.footer(
      "Cases: answers (two passes through a local cluster), errors (planted wrong labels), order\n"
      "(which images are labelled first), dispatch (offers while a model trains). Minutes each on\n"
      "two cores.\n"
      "Exit codes: 0 all marks met, 1 a mark missed or an error.\n"
      "Example: ./dev bench loop --only answers --json loop.jsonl");
  const char* shared = std::getenv("FAIRLEAD_SHARED");
  LoopOptions options;
  options.images = absl::StrCat(shared != nullptr ? shared : FAIRLEAD_SOURCE_FOLDER "/../shared",
                                "/data/ocr/sroie_prices");
  options.work_folder = (std::filesystem::temp_directory_path() / "fairlead-bench-loop").string();
  std::string json;
  std::set<std::string> only;
  app.add_option("--images", options.images, "Folder with images and labels.tsv")
      ->capture_default_str();
  app.add_option("--tasks", options.tasks, "Of the case answers")->capture_default_str();
  app.add_option("--seconds", options.seconds, "Of each pass of answers, at most")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of all draws")->capture_default_str();
  app.add_option("--work-dir", options.work_folder, "Where clusters, models and plots are put")
      ->capture_default_str();
  app.add_option("--only", only, "Cases, separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember({"answers", "errors", "order", "dispatch"}));
  app.add_option("--json", json, "Also write one JSON object a figure here");
  CLI11_PARSE(app, argc, argv);
  bool met = false;
  const absl::Status status = Run(options, only, json, met);
  if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return status.ok() && met ? 0 : 1;
}

}  // namespace
}  // namespace fairlead::bench

int main(int argc, char** argv) { return fairlead::bench::Main(argc, argv); }
