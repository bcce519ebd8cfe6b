// fairlead-bench-ocr: how exactly and at what cost readers are trained on the sets in
// ../shared/data/ocr, each by fairlead-trainer as a user runs it, and how fast the same network is
// in Python. CPU-seconds are those of the whole process tree, from reading the folder to the
// written model.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/bench/marks.h"
#include "tests/bench/ocr_speed.h"
#include "tests/bench/processes.h"

namespace fairlead::bench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct Settings {
  std::string shared;
  std::string json;
  std::string sets;                // Where drawn sets are kept for the next run; empty: nowhere.
  std::vector<std::string> cases;  // Empty: all that fit into a quarter of an hour.
  int threads = 1;
  bool full = false;
};

// A training as a user runs it.
struct Training {
  std::string name;
  std::string set;                     // Folder under ocr/, or drawn.
  std::vector<std::string> arguments;  // For `train ocr`, besides data and output.
  double exact_mark = 0;               // Of the validation split.
  double cpu_mark = 0;                 // CPU-seconds.
  double wall_mark = 0;                // Seconds.
};

std::vector<Training> FixedTrainings() {
  return {
      {"sroie_prices",
       "sroie_prices",
       {"--variant", "eighth", "--head", "flat", "--epochs", "14"},
       0.955,
       300},
      {"portal",
       "generated_portal",
       {"--variant", "eighth", "--head", "column", "--epochs", "20"},
       0.98,
       600},
  };
}

std::vector<Training> LongTrainings() {
  return {
      {"hard",
       "generated_hard",
       {"--variant", "eighth", "--head", "column", "--epochs", "10"},
       0.72,
       325},
      {"sroie_prices_defaults", "sroie_prices", {}, 0.95, 0, 600},
      {"portal_defaults", "generated_portal", {}, 0.975, 0},
      {"sroie_lines", "sroie_lines", {"--variant", "eighth", "--head", "ctc"}, 0, 0},
  };
}

std::string Share(double share) { return absl::StrFormat("≥ %.3f", share); }

void Report(const Training& training, const Json& result, const Finished& run,
            const Settings& settings, Marks& marks) {
  const std::string name =
      absl::StrCat(training.name, " (", result.value("variant", ""), ", ", result.value("head", ""),
                   ", ", settings.threads, settings.threads == 1 ? " thread)" : " threads)");
  const auto value = [&](const char* key) { return result.value(key, 0.0); };
  marks.Figure(name, "training images", value("train.count"), "");
  marks.Figure(name, "parameters", value("parameters"), "");
  marks.Figure(name, "epochs", value("epochs"), "");
  const auto exact = [&](const char* what, double share) {
    if (training.exact_mark > 0) {
      marks.Check(name, what, share, "share", Share(training.exact_mark),
                  share >= training.exact_mark);
    } else {
      marks.Figure(name, what, share, "share");
    }
  };
  exact("val exact match", value("validation.exact_match"));
  marks.Figure(name, "val character errors", value("validation.character_error_rate"), "share");
  if (result.contains("test.exact_match")) {
    marks.Figure(name, "fresh images", value("test.count"), "");
    exact("fresh exact match", value("test.exact_match"));
  }
  const auto cost = [&](const char* what, double seconds, const char* unit, double mark) {
    if (mark > 0) {
      marks.Check(name, what, seconds, unit, absl::StrFormat("≤ %.0f", mark), seconds <= mark);
    } else {
      marks.Figure(name, what, seconds, unit);
    }
  };
  cost("process tree", run.cpu_seconds, "CPU-s", training.cpu_mark);
  cost("wall", run.wall_seconds, "s", training.wall_mark);
  marks.Figure(name, "training rate",
               value("steps") * value("batch") / std::max(1e-9, value("cpu_seconds")),
               "images/CPU-s");
}

// Trains into `model`; the result's JSON, or null when it failed.
Json Train(const std::string& data, const std::string& model, const std::string& trainer,
           const std::vector<std::string>& arguments, const Settings& settings, Finished& run) {
  const std::string json = model + ".json";
  std::vector<std::string> words = {trainer,
                                    "train",
                                    "ocr",
                                    "--data",
                                    data,
                                    "--out",
                                    model,
                                    "--json",
                                    json,
                                    "--threads",
                                    absl::StrCat(settings.threads),
                                    "--device",
                                    "cpu"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  run = RunProgram(words);
  std::ifstream in(json);
  const Json result = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (run.exit_code == 0 && result.is_object()) return result;
  std::fprintf(stderr, "%s: the training failed with exit code %d\n", data.c_str(), run.exit_code);
  return nullptr;
}

// False when the training failed.
bool RunTraining(const Training& training, const std::string& data, const std::string& trainer,
                 const Settings& settings, Marks& marks) {
  const TemporaryFolder folder;
  Finished run;
  const Json result =
      Train(data, folder.path() + "/model", trainer, training.arguments, settings, run);
  if (result.is_null()) return false;
  Report(training, result, run, settings, marks);
  return true;
}

// The folder of a set; drawn sets are drawn into `drawn` on first use. Empty when it cannot be had.
std::string FolderOf(const std::string& set, const Settings& settings, const std::string& drawn) {
  const std::string root = settings.shared + "/data/ocr/";
  if (!absl::StartsWith(set, "generated_")) return fs::exists(root + set) ? root + set : "";
  const std::string folder = drawn + "/" + set;
  if (fs::exists(folder)) return folder;
  const std::string script = root + "generate/make_sets.py";
  const std::string python = PythonWith("PIL numpy");
  if (python.empty() || !fs::exists(script)) return "";
  std::fprintf(stderr, "drawing the portal and the hard set (minutes)\n");
  const Finished finished =
      RunProgram({python, "-B", script, drawn, "train:4000:1,val:1000:3,test:3000:5"});
  if (finished.exit_code == 0) return folder;
  std::error_code error;
  fs::remove_all(folder, error);  // Half a set is none.
  return "";
}

// A training of the curve: the first `count` training images and the whole validation split.
bool CurveFolder(const std::string& from, const std::string& to, int count) {
  std::error_code error;
  fs::create_directories(to, error);
  fs::create_symlink(fs::absolute(from) / "images.tar", to + "/images.tar", error);
  std::ifstream in(from + "/labels.tsv");
  std::ofstream out(to + "/labels.tsv");
  int taken = 0;
  for (std::string line; std::getline(in, line);) {
    if (absl::StartsWith(line, "train/") && ++taken > count) continue;
    out << line << '\n';
  }
  return out.good() && taken >= count;
}

// Two hundred new items: from the start of the warm training to both models' measurement on the
// validation split, which is what the gate decides by. False when a program failed.
bool RunWarmRound(const std::string& data, const std::string& trainer, const Settings& settings,
                  Marks& marks) {
  const TemporaryFolder folder;
  const std::string before = folder.path() + "/before", champion = folder.path() + "/champion",
                    challenger = folder.path() + "/challenger";
  Finished run;
  if (!CurveFolder(data, before, 3873)) return false;
  std::vector<std::string> arguments = {"--variant", "eighth", "--head", "flat", "--epochs", "12"};
  const Json old = Train(before, champion, trainer, arguments, settings, run);
  arguments = {"--warm-start", champion + "/model.safetensors"};
  const Json fresh = Train(data, challenger, trainer, arguments, settings, run);
  if (old.is_null() || fresh.is_null()) return false;
  double wall = run.wall_seconds, cpu = run.cpu_seconds;
  for (const std::string& model : {champion, challenger}) {
    run = RunProgram({trainer, "evaluate", "ocr", "--model", model, "--data", data, "--split",
                      "val", "--threads", absl::StrCat(settings.threads), "--device", "cpu"});
    if (run.exit_code != 0) return false;
    wall += run.wall_seconds;
    cpu += run.cpu_seconds;
  }
  const std::string name = absl::StrCat("warm round +200 (", settings.threads, " threads)");
  marks.Figure(name, "val exact match before", old.value("validation.exact_match", 0.0), "share");
  marks.Figure(name, "val exact match after", fresh.value("validation.exact_match", 0.0), "share");
  marks.Figure(name, "process trees", cpu, "CPU-s");
  marks.Check(name, "wall", wall, "s", "≤ 60", wall <= 60);
  return true;
}

int RunAll(const Settings& settings) {
  const std::string trainer =
      (fs::read_symlink("/proc/self/exe").parent_path() / "fairlead-trainer").string();
  const auto wanted = [&](const std::string& name, bool by_default) {
    if (settings.cases.empty()) return by_default || settings.full;
    return std::find(settings.cases.begin(), settings.cases.end(), name) != settings.cases.end();
  };
  Marks marks("ocr");
  const TemporaryFolder scratch;
  const std::string drawn = settings.sets.empty() ? scratch.path() : settings.sets;
  bool failed = false;
  const auto with = [&](const std::string& name, const std::string& set, const auto& use) {
    const std::string folder = FolderOf(set, settings, drawn);
    if (folder.empty()) {
      std::printf("%s: skipped, no set %s (--shared; drawn ones need python3-pil, python3-numpy)\n",
                  name.c_str(), set.c_str());
    } else {
      failed |= !use(folder);
    }
  };
  if (wanted("python", true)) CompareWithPython(settings.threads, settings.full, marks);
  if (wanted("full", false)) MeasureFullNet(settings.threads, marks);
  const std::vector<Training> fixed = FixedTrainings(), rest = LongTrainings();
  for (const auto* list : {&fixed, &rest}) {
    for (const Training& training : *list) {
      if (!wanted(training.name, list == &fixed)) continue;
      with(training.name, training.set, [&](const std::string& folder) {
        return RunTraining(training, folder, trainer, settings, marks);
      });
    }
  }
  if (wanted("warm_round", false)) {
    with("warm_round", "sroie_prices",
         [&](const std::string& folder) { return RunWarmRound(folder, trainer, settings, marks); });
  }
  for (const int count : {250, 500, 1000, 2000, 4000}) {
    if (!wanted("curve", false)) break;
    Training training;
    training.name = absl::StrCat("portal_curve_", count);
    training.arguments = {"--variant", "eighth", "--head", "column", "--epochs", "20"};
    with(training.name, "generated_portal", [&](const std::string& folder) {
      const std::string part = absl::StrCat(scratch.path(), "/portal_", count);
      return CurveFolder(folder, part, count) &&
             RunTraining(training, part, trainer, settings, marks);
    });
  }
  const bool met = marks.Print();
  const absl::Status written =
      settings.json.empty() ? absl::OkStatus() : marks.WriteJson(settings.json);
  if (!written.ok()) std::fprintf(stderr, "%s\n", std::string(written.message()).c_str());
  return failed || !written.ok() ? 2 : met ? 0 : 1;
}

int Main(int argc, char** argv) {
  Settings settings;
  const char* shared = std::getenv("FAIRLEAD_SHARED");
  settings.shared = shared != nullptr ? shared : FAIRLEAD_SOURCE_FOLDER "/../shared";
  CLI::App app("How exactly, and at what cost, readers are trained");
  app.footer(
      "Example: fairlead-bench-ocr --case sroie_prices --json ocr.jsonl\n"
      "Exit codes: 0 marks met (or skipped, and said so), 1 a mark missed, 2 failed or wrong\n"
      "arguments.");
  app.add_option("--json", settings.json, "File for one JSON object a line");
  app.add_option("--case", settings.cases,
                 "python, sroie_prices, portal, hard, full, warm_round, sroie_prices_defaults, "
                 "portal_defaults, sroie_lines, curve; repeatable. Without: the first three, a "
                 "quarter of an hour")
      ->check(CLI::IsMember({"python", "sroie_prices", "portal", "hard", "full", "warm_round",
                             "sroie_prices_defaults", "portal_defaults", "sroie_lines", "curve"}));
  app.add_option("--shared", settings.shared, "Folder that holds data/ocr")->capture_default_str();
  app.add_option("--sets", settings.sets, "Folder that keeps drawn sets for the next run");
  app.add_option("--threads", settings.threads, "CPU threads of a training")->capture_default_str();
  app.add_flag("--full", settings.full, "All cases, and the full network beside Python's");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return RunAll(settings);
}

}  // namespace
}  // namespace fairlead::bench

int main(int argc, char** argv) { return fairlead::bench::Main(argc, argv); }
