// One pass of the demo: a fresh local cluster, a crowd, tasks in waves, and what came of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/cluster.h"
#include "scheduler/cli/demo_options.h"
#include "scheduler/cli/print.h"
#include "scheduler/cli/results_log.h"
#include "scheduler/cli/simulator.h"

namespace fairlead::cli {

// Not thread-safe; one use. The order inside is: cluster, projects, gold, contractors, waves,
// models.
class DemoRun {
 public:
  // `options` and `tasks` must outlive it. `models`: with training and prelabels. `name`: of the
  // pass's folder under the work directory. `deadline`: when the pass must be over.
  DemoRun(const DemoOptions& options, const DemoTasks& tasks, bool models, std::string name,
          absl::Time deadline);
  ~DemoRun();

  absl::StatusOr<DemoPass> Run();

 private:
  absl::Status StartCluster();
  absl::Status CreateProjects();
  absl::Status StartContractors();
  // Lets wave `wave` (from 0) in: OCR tasks and pairs; with a champion, prelabels come first.
  absl::Status SubmitWave(int wave);
  // Returns when the wave's tasks have ended and, with models, the rounds they started are decided;
  // or at its cap, or at the deadline.
  absl::Status AwaitWave(int wave);
  absl::Status AwaitEnd();
  absl::Status AwaitPrelabels(int64_t wanted);
  absl::Status Pause(bool pause);
  // Versions of the tenant's models of this kind, oldest first.
  absl::StatusOr<std::vector<v1::ModelVersion>> Versions(v1::TaskKind kind) const;
  absl::Status CollectOutcomes(DemoPass& pass) const;
  absl::Status CollectModels(DemoPass& pass) const;
  std::vector<double> DecisionSeconds(const std::vector<v1::ModelVersion>& versions) const;
  absl::Status ScoreReward(const std::string& model_blob, DemoPass& pass) const;
  void ShowStatus(bool at_once = false);
  std::string Directory() const;

  const DemoOptions& options_;
  const DemoTasks& tasks_;
  const bool models_;
  const std::string name_;
  const absl::Time deadline_;
  absl::Time start_;
  StatusLine line_;
  std::unique_ptr<LocalCluster> cluster_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Simulator> simulator_;
  std::unique_ptr<ResultsLog> ocr_log_;
  std::unique_ptr<ResultsLog> pair_log_;
  std::vector<std::string> ocr_names_;
  std::vector<std::string> pair_names_;
  int wave_ = 0;
  std::vector<double> champions_;  // Exact match of the OCR champions so far, for the status line.
};

// How many items wave `wave` of `waves` begins with: an even split of `count`.
size_t WaveBegin(size_t count, int wave, int waves);

// The share of pairs whose better reply scores higher (a draw counts half), from the lines that
// `fairlead-trainer score` wrote. INVALID_ARGUMENT for a line without the scores of a pair.
struct PairScore {
  double accuracy = 0;
  int64_t pairs = 0;
};
absl::StatusOr<PairScore> ParsePairScores(absl::string_view scores);

}  // namespace fairlead::cli
