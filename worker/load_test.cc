#include "worker/load_test.h"

#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/image/image.h"
#include "trainer/data/preference_file.h"

namespace fairlead::worker {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostItems = 64;
constexpr double kTolerance = 1e-3;

template <typename Example>
std::vector<const Example*> SampleOf(const Round<Example>& round) {
  const std::vector<Example>& from = round.judged.empty() ? round.examples : round.judged;
  const size_t stride = (from.size() + kMostItems - 1) / kMostItems;
  std::vector<const Example*> sample;
  for (size_t i = 0; i < from.size(); i += stride) sample.push_back(&from[i]);
  return sample;
}

absl::Status WriteTo(const std::string& path, absl::string_view bytes) {
  ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC));
  return WriteAll(file.get(), bytes);
}

// An empty directory in `folder`, gone with this object.
class SampleDirectory {
 public:
  explicit SampleDirectory(const std::string& folder) : path_(folder + "/load_test") { Remove(); }
  SampleDirectory(const SampleDirectory&) = delete;
  SampleDirectory& operator=(const SampleDirectory&) = delete;
  ~SampleDirectory() { Remove(); }
  const std::string& path() const { return path_; }

 private:
  void Remove() const {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string path_;
};

bool AreEqual(double a, double b) { return std::abs(a - b) <= kTolerance; }

absl::StatusOr<LoadTest> RunTrainer(const std::vector<std::string>& arguments,
                                    const LoadTestOptions& options, JobContext& context) {
  context.SetProgress("loading the model in a process of its own");
  std::vector<std::string> argv = {options.program};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const absl::Time start = absl::Now();
  LoadTest test;
  ASSIGN_OR_RETURN(test.end, RunProgram(argv, options.limits, [&] { return context.Check(); }));
  test.seconds = absl::ToDoubleSeconds(absl::Now() - start);
  const int signal = test.end.signal;
  if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP) {
    return absl::UnavailableError(
        absl::StrCat("the process that tests the model was told to stop by signal ", signal));
  }
  return test;
}

// A failed test, with what the process said, for the operator: the gate has the numbers only.
LoadTest Logged(LoadTest test) {
  if (test.passed()) return test;
  FAIRLEAD_LOG(WARNING) << "load test failed exit_code=" << test.end.exit_code
                        << " signal=" << test.end.signal << " timed_out=" << test.end.timed_out
                        << " out_of_memory=" << test.end.out_of_memory
                        << " differing=" << test.differing << "/" << test.items
                        << " said=" << absl::CEscape(absl::StripAsciiWhitespace(test.end.said));
  return test;
}

std::string NameOf(size_t i) { return absl::StrFormat("%04d.png", i); }

// The lines of `predict ocr` by image; a text may hold tabs and line ends.
std::vector<std::string> RecordsOf(const std::string& table, size_t count) {
  std::vector<std::string> records(count);
  size_t begin = 0;
  for (size_t i = 0; i < count && absl::StartsWith(table.substr(begin, 16), NameOf(i)); ++i) {
    const size_t end = table.find(absl::StrCat("\n", NameOf(i + 1), "\t"), begin);
    records[i] = table.substr(begin, end == std::string::npos ? end : end - begin);
    if (end == std::string::npos) break;
    begin = end + 1;
  }
  return records;
}

bool Says(const std::string& record, const std::string& name,
          const trainer::OcrPrediction& expected) {
  const std::string before = absl::StrCat(name, "\t", expected.text, "\t");
  double confidence = 0;
  return absl::StartsWith(record, before) &&
         absl::SimpleAtod(record.substr(before.size()), &confidence) &&
         AreEqual(confidence, expected.confidence);
}

bool Says(const std::string& line, const std::vector<double>& expected) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  const auto scores = json.is_object() ? json.find("scores") : json.end();
  if (!json.is_object() || scores == json.end() || !scores->is_array()) return false;
  bool equal = scores->size() == expected.size();
  for (size_t i = 0; equal && i < expected.size(); ++i) {
    equal = (*scores)[i].is_number() && AreEqual((*scores)[i].get<double>(), expected[i]);
  }
  return equal;
}

}  // namespace

bool LoadTest::passed() const {
  return end.exit_code == 0 && end.signal == 0 && !end.timed_out && !end.out_of_memory &&
         differing == 0;
}

void LoadTest::AddTo(std::map<std::string, double>& metrics) const {
  metrics["load_test"] = passed() ? 1 : 0;
  metrics["load_test.items"] = items;
  metrics["load_test.differing"] = differing;
  metrics["load_test.seconds"] = seconds;
  if (end.exit_code != 0) metrics["load_test.exit_code"] = end.exit_code;
  if (end.signal != 0) metrics["load_test.signal"] = end.signal;
  if (end.timed_out) metrics["load_test.timed_out"] = 1;
  if (end.out_of_memory) metrics["load_test.out_of_memory"] = 1;
}

absl::StatusOr<LoadTest> TestOcrFile(const std::string& folder, trainer::OcrModel& trained,
                                     const Round<trainer::OcrExample>& round,
                                     const LoadTestOptions& options, JobContext& context) {
  const SampleDirectory directory(folder);
  RETURN_IF_ERROR(CreateDirectories(directory.path() + "/images"));
  std::vector<GrayImage> images;
  for (const trainer::OcrExample* example : SampleOf(round)) {
    ASSIGN_OR_RETURN(const std::string png, EncodePng(example->image));
    RETURN_IF_ERROR(
        WriteTo(absl::StrCat(directory.path(), "/images/", NameOf(images.size())), png));
    images.push_back(example->image);
  }
  const std::string output = directory.path() + "/read.tsv";
  ASSIGN_OR_RETURN(LoadTest test,
                   RunTrainer({"predict", "ocr", "--model", folder, "--images",
                               directory.path() + "/images", "--out", output, "--device",
                               options.device, "--threads", absl::StrCat(options.threads)},
                              options, context));
  if (!test.passed()) return Logged(std::move(test));
  ASSIGN_OR_RETURN(const std::vector<trainer::OcrPrediction> expected, trained.Predict(images));
  const std::vector<std::string> records =
      RecordsOf(ReadFile(output).value_or(""), expected.size());
  test.items = static_cast<int>(expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    test.differing += Says(records[i], NameOf(i), expected[i]) ? 0 : 1;
  }
  return Logged(std::move(test));
}

absl::StatusOr<LoadTest> TestRewardFile(const std::string& folder,
                                        const trainer::RewardModel& trained,
                                        const Round<trainer::PreferenceItem>& round,
                                        const LoadTestOptions& options, JobContext& context) {
  const SampleDirectory directory(folder);
  RETURN_IF_ERROR(CreateDirectories(directory.path()));
  std::string input;
  std::vector<std::vector<double>> expected;
  for (const trainer::PreferenceItem* item : SampleOf(round)) {
    Json json = {{"responses", item->responses}};
    if (!item->prompt.empty()) json["prompt"] = item->prompt;
    const std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    const absl::StatusOr<trainer::PreferenceLine> taken = trainer::ParseTexts(line);
    if (!taken.ok()) continue;
    absl::StrAppend(&input, line, "\n");
    std::vector<double>& scores = expected.emplace_back();
    for (const std::string& response : taken->item.responses) {
      scores.push_back(trained.Score(taken->item.prompt, response));
    }
  }
  const std::string lines = directory.path() + "/pairs.jsonl";
  const std::string output = directory.path() + "/scores.jsonl";
  RETURN_IF_ERROR(WriteTo(lines, input));
  ASSIGN_OR_RETURN(
      LoadTest test,
      RunTrainer({"score", "--model", folder, "--in", lines, "--out", output}, options, context));
  if (!test.passed()) return Logged(std::move(test));
  std::vector<std::string> answers = absl::StrSplit(ReadFile(output).value_or(""), '\n');
  answers.resize(expected.size());
  test.items = static_cast<int>(expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    test.differing += Says(answers[i], expected[i]) ? 0 : 1;
  }
  return Logged(std::move(test));
}

}  // namespace fairlead::worker
