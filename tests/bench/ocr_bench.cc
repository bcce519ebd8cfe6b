// fairlead-bench-ocr: how exactly and at what cost readers are trained on the sets in
// ../shared/data/ocr, each by fairlead-trainer as a user runs it, and how fast the same network is
// in Python. CPU-seconds are those of the whole process tree, from reading the folder to the
// written model.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "trainer/train.h"

namespace fairlead::trainer {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct Settings {
  std::string shared;
  std::string json;
  std::vector<std::string> cases;  // Empty: all that fit into a quarter of an hour.
  int threads = 1;
  bool full = false;
};

// Prints a row for people and, with --json, appends a line for programs.
class Figures {
 public:
  explicit Figures(const std::string& json) {
    if (!json.empty()) out_.open(json, std::ios::trunc);
    std::printf("%-44s %-26s %12s  %s\n", "case", "metric", "value", "unit");
  }
  void Add(const std::string& name, const std::string& metric, double value,
           const std::string& unit) {
    std::printf("%-44s %-26s %12.4f  %s\n", name.c_str(), metric.c_str(), value, unit.c_str());
    std::fflush(stdout);
    if (!out_.is_open()) return;
    out_ << Json{{"bench", "ocr"},
                 {"case", name},
                 {"metric", metric},
                 {"value", value},
                 {"unit", unit}}
                .dump()
         << std::endl;
  }

 private:
  std::ofstream out_;
};

struct Finished {
  int exit_code = -1;
  double cpu_seconds = 0;  // User and system, of the process and the children it waited for.
  std::string output;
};

// Runs a program to its end; its standard output is collected, its errors are shown.
Finished RunProgram(const std::vector<std::string>& words) {
  int ends[2];
  if (pipe(ends) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(ends[1]);
  Finished finished;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof(buffer))) > 0;) {
    finished.output.append(buffer, static_cast<size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  rusage usage = {};
  if (child < 0 || wait4(child, &status, 0, &usage) != child) return {};
  if (WIFEXITED(status)) finished.exit_code = WEXITSTATUS(status);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  finished.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  return finished;
}

// A folder that is gone when the benchmark is.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "fairlead_bench_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A python3 that has these modules; empty when there is none.
std::string PythonWith(const std::string& modules) {
  for (const char* python : {"python3", "/usr/bin/python3"}) {
    if (RunProgram(
            {python, "-c",
             "import importlib.util as u, sys; sys.exit(any(u.find_spec(m) is None for m in '" +
                 modules + "'.split()))"})
            .exit_code == 0) {
      return python;
    }
  }
  return "";
}

// A training as a user runs it.
struct Training {
  std::string name;
  std::string set;                     // Folder under ocr/, or drawn.
  std::vector<std::string> arguments;  // For `train ocr`, besides data and output.
  double exact_mark = 0;               // Of the validation split.
  double cpu_mark = 0;                 // CPU-seconds.
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
       {"--variant", "eighth", "--head", "column", "--epochs", "36"},
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
      {"sroie_prices_defaults", "sroie_prices", {}, 0, 0},
      {"portal_defaults", "generated_portal", {}, 0.975, 0},
      {"sroie_lines", "sroie_lines", {"--variant", "eighth", "--head", "ctc"}, 0, 0},
  };
}

void Report(const Training& training, const Json& result, double cpu_seconds,
            const Settings& settings, Figures& figures) {
  const std::string name =
      absl::StrCat(training.name, " (", result.value("variant", ""), ", ", result.value("head", ""),
                   ", ", settings.threads, settings.threads == 1 ? " thread)" : " threads)");
  const auto value = [&](const char* key) { return result.value(key, 0.0); };
  figures.Add(name, "train_images", value("train.count"), "images");
  figures.Add(name, "parameters", value("parameters"), "");
  figures.Add(name, "epochs", value("epochs"), "");
  figures.Add(name, "val_exact_match", value("validation.exact_match"), "share");
  figures.Add(name, "val_character_error_rate", value("validation.character_error_rate"), "share");
  if (result.contains("test.exact_match")) {
    figures.Add(name, "fresh_images", value("test.count"), "images");
    figures.Add(name, "fresh_exact_match", value("test.exact_match"), "share");
  }
  figures.Add(name, "cpu_seconds", cpu_seconds, "s");
  figures.Add(name, "images_per_cpu_second",
              value("steps") * value("batch") / std::max(1e-9, value("cpu_seconds")), "images/s");
  if (training.exact_mark > 0)
    figures.Add(name, "val_exact_match_mark", training.exact_mark, "share");
  if (training.cpu_mark > 0) figures.Add(name, "cpu_seconds_mark", training.cpu_mark, "s");
}

// False when the training failed.
bool RunTraining(const Training& training, const std::string& data, const std::string& trainer,
                 const Settings& settings, Figures& figures) {
  const TemporaryFolder model;
  const std::string json = model.path() + "/result.json";
  std::vector<std::string> words = {trainer,
                                    "train",
                                    "ocr",
                                    "--data",
                                    data,
                                    "--out",
                                    model.path() + "/model",
                                    "--json",
                                    json,
                                    "--threads",
                                    absl::StrCat(settings.threads),
                                    "--device",
                                    "cpu"};
  words.insert(words.end(), training.arguments.begin(), training.arguments.end());
  const Finished finished = RunProgram(words);
  std::ifstream in(json);
  const Json result = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (finished.exit_code != 0 || !result.is_object()) {
    std::fprintf(stderr, "%s: the training failed with exit code %d\n", training.name.c_str(),
                 finished.exit_code);
    return false;
  }
  Report(training, result, finished.cpu_seconds, settings, figures);
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
  return finished.exit_code == 0 ? folder : "";
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

// Images a CPU-second of training in this process, on noise: `steps` of 32 images.
double OwnTrainingRate(const std::string& variant, int height, int width, int steps, int threads) {
  std::vector<OcrExample> examples;
  PhiloxStream stream(7, 0, 0, 0);
  for (int i = 0; i < 65; ++i) {
    OcrExample example;
    example.id = absl::StrCat(i);
    example.split = i < 64 ? Split::kTrain : Split::kValidation;
    example.image = {width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height)};
    for (uint8_t& pixel : example.image.pixels) pixel = static_cast<uint8_t>(stream.Below(256));
    for (int c = 0; c < 6; ++c) example.text += static_cast<char>('0' + stream.Below(10));
    examples.push_back(std::move(example));
  }
  OcrTrainOptions options;
  options.variant = variant;
  options.head = "column";
  options.image_height = height;
  options.image_width = width;
  options.batch = 32;
  options.epochs = std::max(1, steps / 2);
  options.threads = threads;
  options.device = "cpu";
  const TemporaryFolder folder;
  const auto result = TrainOcr(examples, options, folder.path() + "/model.safetensors");
  if (!result.ok()) return 0;
  return result->metrics.at("steps") * 32 / result->metrics.at("cpu_seconds");
}

// Alternates between Python and this code on the same shapes; the best of three rounds each, for
// other load on the machine only ever slows a round down.
void CompareWithPython(const Settings& settings, Figures& figures) {
  const std::string python = PythonWith("torch");
  if (python.empty()) {
    std::printf("python: skipped, no python3 with torch (Debian: python3-torch)\n");
    return;
  }
  struct Shape {
    const char* variant;
    int height, width, steps;
    const char* seconds;
  };
  std::vector<Shape> shapes = {{"eighth", 32, 128, 60, "6"}};
  if (settings.full) shapes.push_back({"full", 64, 192, 8, "25"});
  for (const Shape& shape : shapes) {
    double theirs = 0, ours = 0;
    for (int round = 0; round < 3; ++round) {
      const Finished finished =
          RunProgram({python, FAIRLEAD_SOURCE_FOLDER "/tests/bench/ocr_reference.py", shape.variant,
                      absl::StrCat(shape.height), absl::StrCat(shape.width), "32",
                      absl::StrCat(settings.threads), shape.seconds, "train"});
      double rate = 0;
      if (!absl::SimpleAtod(finished.output, &rate)) rate = 0;
      theirs = std::max(theirs, rate);
      ours = std::max(ours, OwnTrainingRate(shape.variant, shape.height, shape.width, shape.steps,
                                            settings.threads));
    }
    const std::string name =
        absl::StrFormat("python %s 1x%dx%d B=32 train, %d thread(s)", shape.variant, shape.height,
                        shape.width, settings.threads);
    figures.Add(name, "python_images_per_cpu_second", theirs, "images/s");
    figures.Add(name, "images_per_cpu_second", ours, "images/s");
    figures.Add(name, "ratio", theirs > 0 ? ours / theirs : 0, "times");
  }
}

int RunAll(const Settings& settings) {
  const std::string trainer =
      (fs::read_symlink("/proc/self/exe").parent_path() / "fairlead-trainer").string();
  const auto wanted = [&](const std::string& name, bool by_default) {
    if (settings.cases.empty()) return by_default || settings.full;
    return std::find(settings.cases.begin(), settings.cases.end(), name) != settings.cases.end();
  };
  Figures figures(settings.json);
  const TemporaryFolder drawn;
  bool failed = false;
  const auto train = [&](const Training& training, const std::string& folder) {
    if (folder.empty()) {
      std::printf("%s: skipped, no set %s (--shared; drawn ones need python3-pil, python3-numpy)\n",
                  training.name.c_str(), training.set.c_str());
      return;
    }
    failed |= !RunTraining(training, folder, trainer, settings, figures);
  };
  if (wanted("python", true)) CompareWithPython(settings, figures);
  const std::vector<Training> fixed = FixedTrainings(), rest = LongTrainings();
  for (const auto* list : {&fixed, &rest}) {
    for (const Training& training : *list) {
      if (!wanted(training.name, list == &fixed)) continue;
      train(training, FolderOf(training.set, settings, drawn.path()));
    }
  }
  for (const int count : {250, 500, 1000, 2000, 4000}) {
    if (!wanted("curve", false)) break;
    const std::string from = FolderOf("generated_portal", settings, drawn.path());
    const std::string to = absl::StrCat(drawn.path(), "/portal_", count);
    Training training{absl::StrCat("portal_curve_", count),
                      "generated_portal",
                      {"--variant", "eighth", "--head", "column", "--epochs", "20"},
                      0,
                      0};
    train(training, !from.empty() && CurveFolder(from, to, count) ? to : "");
  }
  return failed ? 1 : 0;
}

int Main(int argc, char** argv) {
  Settings settings;
  const char* shared = std::getenv("FAIRLEAD_SHARED");
  settings.shared = shared != nullptr ? shared : FAIRLEAD_SOURCE_FOLDER "/../shared";
  CLI::App app("How exactly, and at what cost, readers are trained");
  app.footer(
      "Example: fairlead-bench-ocr --case sroie_prices --json ocr.jsonl\n"
      "Exit codes: 0 measured (or skipped, and said so), 1 a training failed, 2 wrong arguments.");
  app.add_option("--json", settings.json, "File for one JSON object a line");
  app.add_option("--case", settings.cases,
                 "python, sroie_prices, portal, hard, sroie_prices_defaults, portal_defaults, "
                 "sroie_lines, curve; repeatable. Without: the first three, a quarter of an hour")
      ->check(CLI::IsMember({"python", "sroie_prices", "portal", "hard", "sroie_prices_defaults",
                             "portal_defaults", "sroie_lines", "curve"}));
  app.add_option("--shared", settings.shared, "Folder that holds data/ocr")->capture_default_str();
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
}  // namespace fairlead::trainer

int main(int argc, char** argv) { return fairlead::trainer::Main(argc, argv); }
