// ./dev bench aggregate: every method on every class, text and rating set of the shared folder,
// with accuracy and CPU seconds; one plain Dawid–Skene fit of adult2; the online update of a score.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"
#include "scheduler/cli/crowd_table.h"
#include "scheduler/quality/batch/aggregate_classes.h"
#include "scheduler/quality/batch/aggregate_ratings.h"
#include "scheduler/quality/batch/aggregate_texts.h"
#include "scheduler/quality/batch/class_models.h"
#include "scheduler/quality/batch/words.h"
#include "scheduler/quality/beta.h"
#include "scheduler/quality/one_coin.h"
#include "scheduler/quality/score.h"

namespace fairlead::quality::batch {
namespace {

constexpr Method kMethods[] = {Method::kMajority,     Method::kWeighted,   Method::kOneCoin,
                               Method::kHierarchical, Method::kDawidSkene, Method::kAuto};

// CPU seconds of this thread: other programs on the machine do not count.
double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct CrowdSet {
  std::string name;
  cli::CrowdTable table;
  LabelMatrix labels;
  std::vector<int32_t> truth;
  std::vector<int32_t> none;  // No gold at all.
};

// JSON lines for programs, beside the tables for people.
class Report {
 public:
  explicit Report(const std::string& path) {
    if (!path.empty()) file_.open(path);
  }
  void Add(const std::string& where, const char* metric, double value, const char* unit) {
    if (!file_.is_open()) return;
    const nlohmann::ordered_json line = {{"bench", "aggregate"},
                                         {"case", where},
                                         {"metric", metric},
                                         {"value", value},
                                         {"unit", unit}};
    file_ << line.dump() << "\n";
  }
  void Mark(const std::string& what, bool held) {
    std::cout << (held ? "  held    " : "  MISSED  ") << what << "\n";
    all_held_ = all_held_ && held;
  }
  bool all_held() const { return all_held_; }

 private:
  std::ofstream file_;
  bool all_held_ = true;
};

absl::StatusOr<CrowdSet> Load(const std::string& root, const std::string& name) {
  cli::CrowdColumns columns;
  columns.answer = {"text", "label"};
  columns.empty_answers = true;
  ASSIGN_OR_RETURN(cli::CrowdTable table,
                   cli::ReadCrowdTable(root + "/" + name + "/labels.csv", columns));
  ASSIGN_OR_RETURN(cli::CrowdTruth truth,
                   cli::ReadCrowdTruth(root + "/" + name + "/truth.csv", columns, table));
  cli::SortAnswers(table, truth.answer);
  std::vector<ClassLabel> labels;
  for (const cli::CrowdRow& row : table.rows)
    labels.push_back({row.task, row.contractor, row.answer});
  ASSIGN_OR_RETURN(LabelMatrix matrix,
                   LabelMatrix::Build(table.tasks.size(), table.contractors.size(),
                                      table.answers.size(), labels));
  std::vector<int32_t> none(table.tasks.size(), kUnknown);
  return CrowdSet{name, std::move(table), std::move(matrix), truth.answer, std::move(none)};
}

// Percent of the tasks with truth.
double Accuracy(const CrowdSet& set, const ClassLabels& result) {
  int right = 0;
  int all = 0;
  for (size_t task = 0; task < set.truth.size(); ++task) {
    if (set.truth[task] == kUnknown) continue;
    ++all;
    right += result.label[task] == set.truth[task] ? 1 : 0;
  }
  return 100.0 * right / std::max(all, 1);
}

void BenchClasses(const std::vector<CrowdSet>& sets, Report& report) {
  std::cout << "Class sets: accuracy % (CPU seconds)\n" << absl::StrFormat("%-14s", "");
  for (const Method method : kMethods) std::cout << absl::StrFormat("%15s", MethodName(method));
  std::cout << "\n";
  std::map<Method, double> mean;
  double worst = 100;
  for (const CrowdSet& set : sets) {
    std::cout << absl::StrFormat("%-14s", set.name);
    std::map<Method, double> accuracy;
    for (const Method method : kMethods) {
      const double start = CpuSeconds();
      const auto result = AggregateClasses(set.labels, set.none, method);
      const double seconds = CpuSeconds() - start;
      accuracy[method] = result.ok() ? Accuracy(set, *result) : 0;
      mean[method] += accuracy[method] / static_cast<double>(sets.size());
      std::cout << absl::StrFormat("%7.2f (%5.3f)", accuracy[method], seconds) << std::flush;
      const std::string where = set.name + "/" + std::string(MethodName(method));
      report.Add(where, "accuracy", accuracy[method], "%");
      report.Add(where, "cpu_seconds", seconds, "s");
    }
    worst = std::min(worst, accuracy[Method::kAuto] - accuracy[Method::kMajority]);
    std::cout << "\n";
  }
  std::cout << absl::StrFormat("%-14s", "mean");
  double best = 0;
  for (const Method method : kMethods) {
    std::cout << absl::StrFormat("%7.2f        ", mean[method]);
    report.Add("mean/" + std::string(MethodName(method)), "accuracy", mean[method], "%");
    if (method != Method::kAuto) best = std::max(best, mean[method]);
  }
  std::cout << "\n";
  report.Mark(absl::StrFormat("mean of auto %.2f at least that of the best single method %.2f",
                              mean[Method::kAuto], best),
              mean[Method::kAuto] >= best);
  report.Mark(absl::StrFormat("auto against majority at worst %+.2f points (mark -1.5)", worst),
              worst >= -1.5);
}

std::vector<int32_t> NumberWords(const std::string& text, WordNumbers& numbers) {
  std::vector<int32_t> words;
  for (const Word& word : numbers.Split(text)) words.push_back(word.number);
  return words;
}

// Word errors over words of the truth, in percent; lower case, everything but a-z, 0-9 and ' is a
// space.
double WordErrorRate(const CrowdSet& set, const TextLabels& result) {
  WordNumbers numbers;
  double errors = 0;
  double words = 0;
  for (size_t task = 0; task < set.truth.size(); ++task) {
    if (set.truth[task] == kUnknown) continue;
    const auto truth = NumberWords(set.table.answers.names()[set.truth[task]], numbers);
    errors += EditDistance(NumberWords(result.label[task], numbers), truth);
    words += static_cast<double>(truth.size());
  }
  return 100 * errors / std::max(words, 1.0);
}

void BenchTexts(const std::vector<CrowdSet>& sets, Report& report) {
  const std::map<std::string, double> marks = {{"crowdspeech_dev_clean", 5.4},
                                               {"crowdspeech_dev_other", 11.4}};
  std::cout << "\nText sets: word error rate % (CPU seconds)\n";
  for (const CrowdSet& set : sets) {
    double of_auto = 0;
    std::cout << absl::StrFormat("%-22s", set.name);
    for (const TextMethod method : {TextMethod::kMedoid, TextMethod::kRover, TextMethod::kAuto}) {
      const double start = CpuSeconds();
      const auto result = AggregateTexts(set.labels, set.table.answers.names(), set.none, method);
      const double seconds = CpuSeconds() - start;
      of_auto = result.ok() ? WordErrorRate(set, *result) : 100;
      std::cout << absl::StrFormat("  %s %6.2f (%5.3f)", TextMethodName(method), of_auto, seconds);
      const std::string where = set.name + "/" + std::string(TextMethodName(method));
      report.Add(where, "word_error_rate", of_auto, "%");
      report.Add(where, "cpu_seconds", seconds, "s");
    }
    std::cout << "\n";
    if (const auto mark = marks.find(set.name); mark != marks.end()) {
      report.Mark(absl::StrFormat("%.2f at most %.1f", of_auto, mark->second),
                  of_auto <= mark->second);
    }
  }
}

void BenchRatings(const CrowdSet& set, Report& report) {
  std::vector<double> values;
  for (const std::string& text : set.table.answers.names()) {
    double value = 0;
    values.push_back(absl::SimpleAtod(text, &value) ? value : 0);
  }
  std::cout << "\nRatings, " << set.name << ": root mean square error";
  for (const RatingMethod method : {RatingMethod::kMean, RatingMethod::kBias}) {
    const auto result = AggregateRatings(set.labels, values, set.none, method);
    double squares = 0;
    for (size_t task = 0; result.ok() && task < set.truth.size(); ++task) {
      const double error = result->label[task] - values[set.truth[task]];
      squares += error * error;
    }
    const double rmse = std::sqrt(squares / static_cast<double>(set.truth.size()));
    std::cout << absl::StrFormat("  %s %.2f", RatingMethodName(method), rmse);
    report.Add(set.name + "/" + std::string(RatingMethodName(method)), "rmse", rmse, "points");
  }
  std::cout << "\n";
}

void BenchOneFit(const CrowdSet& set, Report& report) {
  double least = 1e9;
  for (int round = 0; round < 5; ++round) {
    const double start = CpuSeconds();
    FitModel(Model::kDawidSkene, set.labels, set.none, kFullSweeps);
    least = std::min(least, CpuSeconds() - start);
  }
  std::cout << "\n";
  report.Add(set.name + "/one Dawid-Skene fit", "cpu_seconds", least, "s");
  report.Mark(absl::StrFormat("one Dawid-Skene fit of %s, %d labels: %.4f CPU s (mark 0.09)",
                              set.name, set.labels.size(), least),
              least < 0.09);
}

// What one more answer costs the scheduler's scores: the task's posterior before it, the evidence
// about its author, his score, the task's posterior after it.
void BenchOnline(Report& report) {
  constexpr int kLabels = 2'000'000;
  constexpr int kAnswersPerTask = 5;
  constexpr uint64_t kContractors = 1000;
  std::vector<ContractorScore> scores(kContractors);
  const std::string classes[] = {"cat", "dog", "bird", "fish"};
  uint64_t seed = 1;
  store::v1::Evidence evidence;
  double sum = 0;
  const double start = CpuSeconds();
  for (int label = 0; label < kLabels; label += kAnswersPerTask) {
    OneCoin task(4);
    for (int i = 0; i < kAnswersPerTask; ++i) {
      const uint64_t random = NextRandom(seed);
      ContractorScore& score = scores[random % kContractors];
      const std::string& answer = classes[random >> 62];
      const double quality = ClampedQuality(QualityMean(score), 4);
      if (i > 0) {
        evidence.set_right(RightProbability(task.Posterior(answer), quality, 4));
        evidence.set_weight(task.BestPosterior());
        AddEvidence(evidence, label, score);
      }
      task.Add(answer, quality);
    }
    sum += task.BestPosterior();
  }
  const double rate = kLabels / (CpuSeconds() - start);
  report.Add("online update", "labels_per_second", rate, "1/s");
  report.Mark(absl::StrFormat("online update: %.0f labels/s on a core (mark 1,000,000; mean "
                              "confidence %.3f)",
                              rate, sum * kAnswersPerTask / kLabels),
              rate >= 1e6);
}

absl::StatusOr<std::vector<CrowdSet>> LoadAll(const std::string& root,
                                              const std::vector<std::string>& names) {
  std::vector<CrowdSet> sets;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(CrowdSet set, Load(root, name));
    sets.push_back(std::move(set));
  }
  return sets;
}

absl::Status Run(const std::string& root, Report& report) {
  ASSIGN_OR_RETURN(const auto classes,
                   LoadAll(root, {"snow_rte", "snow_wsd", "cf", "cf_amt", "sp_amt", "ms",
                                  "zencrowd_in", "barzan", "adult2"}));
  ASSIGN_OR_RETURN(const auto texts, LoadAll(root, {"crowdspeech_dev_clean",
                                                    "crowdspeech_dev_other", "crowdwsa_t1"}));
  ASSIGN_OR_RETURN(const auto ratings, LoadAll(root, {"snow_valence"}));
  BenchClasses(classes, report);
  BenchTexts(texts, report);
  BenchRatings(ratings[0], report);
  BenchOneFit(classes.back(), report);
  BenchOnline(report);
  return absl::OkStatus();
}

}  // namespace
}  // namespace fairlead::quality::batch

int main(int argc, char** argv) {
  const char* shared = std::getenv("FAIRLEAD_SHARED");
  std::string root =
      std::string(shared != nullptr ? shared : FAIRLEAD_SOURCE_DIR "/../shared") + "/data/crowd";
  std::string json;
  bool strict = false;
  CLI::App app("Aggregation: accuracy and CPU seconds of every method on public crowd sets");
  app.footer("Example:\n  fairlead-bench-aggregate --json aggregate.jsonl");
  app.add_option("--data", root, "Folder of sets, each with labels.csv and truth.csv");
  app.add_option("--json", json, "Also write one JSON object a line to this file");
  app.add_flag("--strict", strict, "Exit 1 where a mark is missed");
  CLI11_PARSE(app, argc, argv);
  fairlead::quality::batch::Report report(json);
  if (const absl::Status status = fairlead::quality::batch::Run(root, report); !status.ok()) {
    std::cerr << "error: " << status.message() << "; --data or FAIRLEAD_SHARED names the folder\n";
    return 1;
  }
  return strict && !report.all_held() ? 1 : 0;
}
